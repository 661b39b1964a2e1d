"""A name → a Keras model: uint8 [n, 28, 28] in, logits float32 [n, 10] out, canonicalisation inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digits.canonicalize import SIZE, canonicalize
from digits.splits import CLASSES

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@keras.saving.register_keras_serializable(package="digits")
class Canonicalize(keras.layers.Layer):  # type: ignore[misc]
    """`digits.canonicalize` as a layer; always float32."""

    def call(self, images: Any) -> Any:
        """uint8 [n, 28, 28] → float32 [n, 28, 28] of 0–1."""
        return canonicalize(images)

    def compute_output_spec(self, images: Any) -> Any:
        """Shape and type of the result."""
        return keras.KerasTensor(images.shape, dtype="float32")


@keras.saving.register_keras_serializable(package="digits")
class FusedBatchNorm(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) over all but the last axis.

    Through TensorFlow's fused kernel: Keras 3's own layer is unfused, which makes a whole step 1.4 × slower
    on CPU. Statistics and parameters stay float32 whatever the precision of the images.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the parameters and the moving statistics."""

        def weight(name: str, initial: str, trainable: bool) -> Any:
            options = {"dtype": "float32", "autocast": False, "trainable": trainable}
            return self.add_weight(name=name, shape=(shape[-1],), initializer=initial, **options)

        self.gamma = weight("gamma", "ones", True)
        self.beta = weight("beta", "zeros", True)
        self.moving_mean = weight("moving_mean", "zeros", False)
        self.moving_variance = weight("moving_variance", "ones", False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Normalise by the batch's statistics when training, else by the moving ones."""
        options = {"epsilon": self.epsilon, "is_training": bool(training)}
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, **options
        )
        if training:
            self.moving_mean.assign(mean + (1 - self.momentum) * (result.batch_mean - mean))
            self.moving_variance.assign(variance + (1 - self.momentum) * (result.batch_variance - variance))
        return result.y

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:  # noqa: ARG002 - Keras passes it
        """Shape and type of the result."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


class Layers:
    """Makes the layers of one network: one dtype policy, and a seed of its own for each initialiser."""

    def __init__(self, policy: str, seed: int) -> None:
        self.policy = policy
        self.seeds = np.random.default_rng(seed)
        self.made = 0

    def _next_seed(self) -> int:
        return int(self.seeds.integers(2**31))

    def _options(self, kind: str) -> dict[str, Any]:
        """Policy and name. Keras's own names count on from model to model, and are in the weights file."""
        self.made += 1
        return {"name": f"{kind}_{self.made}", "dtype": self.policy}

    def convolution(self, x: Any, filters: int, size: int = 3, stride: int = 1) -> Any:
        """Convolution without padding, batch norm, relu. The bias is batch norm's."""
        initial = keras.initializers.HeNormal(self._next_seed())
        options = {"strides": stride, "use_bias": False, "kernel_initializer": initial}
        x = keras.layers.Conv2D(filters, size, **options, **self._options("convolution"))(x)
        x = FusedBatchNorm(**self._options("norm"))(x)
        return keras.layers.ReLU(**self._options("relu"))(x)

    def pool(self, x: Any) -> Any:
        """The largest of each 2×2."""
        return keras.layers.MaxPooling2D(**self._options("pool"))(x)

    def head(self, x: Any, dropout: float) -> Any:
        """Flatten, dropout, logits in float32."""
        x = keras.layers.Flatten(**self._options("flatten"))(x)
        if dropout:
            x = keras.layers.Dropout(dropout, seed=0, name="dropout", dtype=self.policy)(
                x
            )  # the loop sets it
        initial = keras.initializers.GlorotUniform(self._next_seed())
        x = keras.layers.Dense(CLASSES, kernel_initializer=initial, **self._options("dense"))(x)
        return keras.layers.Activation("linear", dtype="float32", name="logits")(x)


def _compact(x: Any, layers: Layers, dropout: float) -> Any:
    """116,266 weights, 9.1 MFLOP an image: stride 2 at once, since full resolution is what is slow."""
    x = layers.convolution(x, 32, size=5, stride=2)
    x = layers.convolution(x, 64)
    x = layers.convolution(x, 64)
    x = layers.pool(x)
    x = layers.convolution(x, 96)
    return layers.head(x, dropout)


ARCHITECTURES: dict[str, Callable[[Any, Layers, float], Any]] = {"compact": _compact}


def build(
    architecture: str, *, dropout: float = 0.0, precision: str = "float32", seed: int = 0
) -> keras.Model:
    """A new model: uint8 [n, 28, 28] → logits float32 [n, 10]. Weights are drawn from `seed`.

    n must not be 0, on which oneDNN's convolutions fail: digits.signature and digits.scoring see to that.
    precision: what the network computes in; weights are float32 in any case. Dropout and precision change no
    weight's shape or place, so a model trained in one precision runs in another.
    """
    images = keras.Input((SIZE, SIZE), dtype="uint8", name="images")
    canonical = Canonicalize(dtype="float32", name="canonicalize")(images)
    x = keras.layers.Reshape((SIZE, SIZE, 1), dtype="float32", name="channel")(canonical)
    logits = ARCHITECTURES[architecture](x, Layers(POLICIES[precision], seed), dropout)
    return keras.Model(images, logits, name=architecture)


def network(model: keras.Model) -> keras.Model:
    """The part of a built model that follows canonicalisation: float32 [n, 28, 28] of 0–1 → logits."""
    return keras.Model(model.get_layer("canonicalize").output, model.output)
