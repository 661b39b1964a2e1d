"""A stand-in for a trained model that needs no training: the digit of the most similar of 600 synthetic
images.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests._digits import digits


class Nearest(keras.layers.Layer):
    """A layer from uint8 [n, 28, 28] to logits float32 [n, 10]: 30 × the cosine to the closest image of each
    class.
    """

    def build(self, _: Any) -> None:
        images, self.labels = digits(600, seed=1)
        rows = images.reshape(len(images), -1).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.images = self.add_weight(shape=rows.T.shape, name="images")
        self.images.assign(rows.T)

    def call(self, images: Any) -> Any:
        rows = tf.reshape(tf.cast(images, tf.float32), [-1, 784])
        likeness = tf.math.l2_normalize(rows, axis=1) @ self.images
        return 30 * tf.stack(
            [tf.reduce_max(tf.boolean_mask(likeness, self.labels == c, axis=1), axis=1) for c in range(10)], 1
        )


@cache
def nearest() -> keras.Model:
    """Return the model, with a dropout layer that must not affect predictions."""
    images = keras.Input((28, 28), dtype="uint8")
    return keras.Model(images, keras.layers.Dropout(0.5)(Nearest()(images)))
