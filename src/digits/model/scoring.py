"""A Keras model → its logits for any number of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.dataset import CLASSES

BATCH = 500  # images; larger ones are no faster on a CPU and take more memory

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def scorer(model: Any) -> Scorer:
    """A function uint8 [n, 28, 28] → logits float32 [n, 10], compiled once; n may be 0."""

    def forward(images: Any) -> Any:
        return tf.cast(model(images, training=False), tf.float32)

    traced = tf.function(forward, input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)], autograph=False)

    def score(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = np.empty((len(images), CLASSES), dtype=np.float32)
        for start in range(0, len(images), BATCH):
            batch = np.ascontiguousarray(images[start : start + BATCH])
            logits[start : start + len(batch)] = traced(tf.constant(batch)).numpy()
        return logits

    return score
