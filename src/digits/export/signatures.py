"""The functions of digits in the wire contract (digits.wire, serving/README.md), from a model's logits.

Each function begins with a guard on its input's shape: a wrong shape that reaches the first convolution
by name, as servers feed it, aborts the whole server process instead of failing one request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from digits import wire
from digits.dataset import CLASSES
from digits.export.pictures import grey, normalize
from digits.ink import has_ink

PARALLEL_PICTURES = 4  # decoded at a time; each of 16 million pixels takes some 300 MB while it is

Endpoint = Callable[..., dict[str, Any]]


def endpoints(
    logits: Callable[[Any], Any], temperature: float, threshold: float, max_pixels: int
) -> dict[str, Endpoint]:
    """Return the functions to export by signature name, of the inputs to a dictionary of named tensors.

    logits: a deterministic function of uint8 [n, 28, 28] to float [n, 10]. temperature: > 0, what the logits
    are divided by before the softmax (Guo et al. 2017, arXiv:1706.04599). threshold: the least confidence of
    an accepted answer (digits.evaluate.selective), which also takes some ink (digits.ink). max_pixels: larger
    pictures are refused undecoded.
    """

    @shared(wire.PIXELS)
    def answer(images: Any) -> dict[str, Any]:
        images = tf.ensure_shape(images, [None, 28, 28])
        n = tf.shape(images)[0]
        # A blank image stands in for no image: TensorFlow's fused convolutions fail on empty batches.
        some = tf.pad(images, [[0, tf.cast(n == 0, tf.int32)], [0, 0], [0, 0]])
        probabilities = tf.nn.softmax(tf.cast(logits(some)[:n], tf.float32) / temperature)
        confidence = tf.reduce_max(probabilities, axis=1)
        return {
            wire.PROBABILITIES: probabilities,
            wire.DIGIT: tf.argmax(probabilities, axis=1, output_type=tf.int64),
            wire.CONFIDENCE: confidence,
            wire.ACCEPTED: (confidence >= threshold) & has_ink(images),
        }

    def pixels(images: Any) -> dict[str, Any]:
        return answer(images)

    @shared(wire.ENCODED)
    def encoded(image_bytes: Any) -> dict[str, Any]:
        return answer(pictures(image_bytes, max_pixels))

    def classify(inputs: Any) -> dict[str, Any]:
        inputs = tf.ensure_shape(inputs, [None])
        feature = tf.io.FixedLenFeature([], tf.string)
        examples = tf.io.parse_example(inputs, {wire.EXAMPLE_KEY: feature})
        scores = encoded(examples[wire.EXAMPLE_KEY])[wire.PROBABILITIES]
        names = tf.constant([[str(digit) for digit in range(CLASSES)]])
        return {wire.CLASSES: tf.tile(names, [tf.shape(scores)[0], 1]), wire.SCORES: scores}

    return {wire.PIXELS: pixels, wire.ENCODED: encoded, wire.CLASSIFY: classify}


def pictures(image_bytes: Any, max_pixels: int) -> Any:
    """Read PNG or JPEG files, string [n], as uint8 [n, 28, 28] in MNIST's manner; digits.export.pictures has
    the refusals."""
    image_bytes = tf.ensure_shape(image_bytes, [None])

    def one(numbered: tuple[Any, Any]) -> Any:
        row, picture = numbered
        return normalize(grey(picture, row, max_pixels), row)

    return tf.map_fn(
        one,
        (tf.range(tf.size(image_bytes)), image_bytes),
        parallel_iterations=PARALLEL_PICTURES,
        fn_output_signature=tf.TensorSpec([28, 28], tf.uint8),
    )


def shared(signature: str) -> Callable[[Endpoint], Endpoint]:
    """Traced once and called by the signatures: else each holds a copy of all below it, and loads longer."""

    def once(function: Endpoint) -> Endpoint:
        made: Endpoint = tf.function(function, input_signature=_specs(signature), autograph=False)
        return made

    return once


def _specs(signature: str) -> list[Any]:
    inputs = wire.INPUTS[signature].items()
    return [tf.TensorSpec(shape, dtype, name=alias) for alias, (dtype, shape) in inputs]


def trace(functions: dict[str, Endpoint]) -> dict[str, Any]:
    """The endpoints as concrete functions, with the inputs that `digits.wire` names."""
    concrete = {}
    for name, function in functions.items():
        made = tf.function(function, input_signature=_specs(name), autograph=False)
        concrete[name] = made.get_concrete_function()
    return concrete
