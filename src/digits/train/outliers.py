"""Outlier exposure: pictures without a digit among the digits of every batch.

The truth about them is that no digit is likelier than another, so that the model learns to be unsure of
what is none (Hendrycks, Mazeika & Dietterich 2019, "Deep anomaly detection with outlier exposure",
arXiv:1812.04606; there the two losses have weights, here each picture weighs as much as a digit does).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.augment.random_numbers import key_of, uniform
from digits.dataset import CLASSES, Split
from digits.model.recipe import Recipe
from digits.non_digits import KINDS, SEEN, every
from digits.runtime.errors import TrainingError

STREAM = 29  # which pictures; the next one has where in the batch they stand
POOLED = 5000  # training images that a pool's two and half digits are made of
NONE = -1  # the label of an outlier, which no answer equals


class Outliers:
    """Those of one network's training; with a share of 0 every batch passes as it is."""

    def __init__(self, recipe: Recipe, pictures: NDArray[np.uint8] | None) -> None:
        """pictures: uint8 [m, 28, 28]. Raises TrainingError when the recipe wants some and there are none."""
        self.rows, self.digits, self.seed = recipe.outlier_rows, recipe.digits_a_step, recipe.seed
        if self.rows and (pictures is None or not len(pictures)):
            raise TrainingError(
                f"train.outliers is {recipe.outliers:g}, and no picture without a digit was given: make some "
                "with digits.train.outliers.outlier_pool, or set train.outliers to 0"
            )
        self.pictures = tf.constant(pictures) if self.rows else None

    def add(self, digits: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        """Mix images that are no digits into a batch of digits, by (seed, step); return images and labels.

        digits: uint8 [digits, 28, 28]. Damage goes by position, so the batch is turned by a random number of
        rows: outliers that stood last would all get the same few damages, and digits none of these.
        """
        if self.pictures is None:
            return digits, labels
        key, count = key_of(self.seed, step), len(self.pictures)
        chosen = tf.cast(uniform([self.rows], key, STREAM) * count, tf.int32)
        outliers = tf.gather(self.pictures, tf.minimum(chosen, count - 1))
        turn = tf.cast(uniform([], key, STREAM + 1) * (self.digits + self.rows), tf.int32)
        labels = tf.concat([labels, tf.fill([self.rows], NONE)], axis=0)
        return tf.roll(tf.concat([digits, outliers], axis=0), turn, axis=0), tf.roll(labels, turn, axis=0)

    def truth(self, truth: Any, labels: Any) -> Any:
        """The truth about a batch's rows [n, 10], with that of its outliers put in."""
        if self.pictures is None:
            return truth
        return tf.where(labels[:, tf.newaxis] == NONE, 1 / CLASSES, truth)


def outlier_pool(recipe: Recipe, train: Split) -> NDArray[np.uint8] | None:
    """Return the pictures that a training by the recipe draws its outliers from, or None where it wants none.

    uint8 [m, 28, 28], equally many of each kind of the family SEEN, made of some thousands of the training
    images.
    """
    wanted = max((one.outlier_pool for one in recipe.trainings() if one.outliers), default=0)
    if not wanted:
        return None
    rows = np.linspace(0, len(train) - 1, min(POOLED, len(train))).astype(np.intp)
    made = every(-(-wanted // len(KINDS)), recipe.seed, train.take(rows), SEEN)
    return np.concatenate(list(made.values()))
