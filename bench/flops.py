"""Counts the floating-point operations of a Keras model, and measures how many this machine does per second.

An operation is a multiplication or an addition: a multiply-add counts two. Only convolutions and dense layers
count; biases, norms, activations and pooling are a few per cent beside them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

STEP = 3  # forward passes that a training step costs: one forward, and backward to the inputs and the weights
SIDE, REPETITIONS = 2048, 40  # of the matrices whose product is timed: 17 GFLOP each
LARGEST_SIDE = 8192  # on a GPU, where a small product is over before the clock has read


def forward(model: Any) -> int:
    """Return the operations of one image through a built Keras model, nested models included.

    Raises ValueError at a layer with weights of two axes or more that it can't count.
    """
    return 2 * sum(_multiply_adds(layer) for layer in _layers(model))


def training(operations: int, images: int) -> int:
    """Return the operations of training steps over `images` in all, of `forward` operations each."""
    return STEP * operations * images


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _multiply_adds(layer: Any) -> int:
    """Return a layer's multiply-adds: each weight of a kernel is used once at every place of the output."""
    kernels = [weight for weight in layer.weights if len(weight.shape) > 1]
    if not kernels:
        return 0
    kind = type(layer).__name__
    if kind == "Dense":
        places = layer.output.shape[1:-1]
    elif kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D") and layer.data_format == "channels_last":
        places = layer.output.shape[1:3]
    else:
        raise ValueError(
            f"the layer {layer.name} is a {kind}, whose operations bench.flops does not know: add it there"
        )
    return int(math.prod(places) * sum(math.prod(kernel.shape) for kernel in kernels))


def peak(precision: str, side: int | None = None, repetitions: int = REPETITIONS) -> float:
    """Return the GFLOP/s of the fastest of some products of two square matrices, on all threads, or on the
    GPU.

    precision: float32, bfloat16 or float16. Run it in a process that has not changed its threads.
    """
    import tensorflow as tf

    side = side or (LARGEST_SIDE if tf.config.list_physical_devices("GPU") else SIDE)
    factor = tf.cast(tf.random.stateless_uniform((side, side), (1, 2)), precision)
    product = tf.function(lambda a, b: tf.linalg.matmul(a, b)[0, 0], autograph=False)
    product(factor, factor).numpy()
    best = math.inf
    for _ in range(repetitions):
        started = time.perf_counter()
        product(factor, factor).numpy()
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9
