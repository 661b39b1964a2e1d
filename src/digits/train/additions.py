"""Pictures beside the data set's in every batch: some without a digit, and digits in hands that it lacks.

The truth about a picture without a digit is that no digit is likelier than another, so that the model learns
to be unsure of what is none (Hendrycks, Mazeika & Dietterich 2019, "Deep anomaly detection with outlier
exposure", arXiv:1812.04606; there the two losses have weights, here each picture weighs as much as a digit
does). Digits in other hands are those of `digits.styles`: the 1 with a flag, the 7 with a bar and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import styles
from digits.augment.random_numbers import key_of, uniform
from digits.dataset import CLASSES, Split
from digits.model.recipe import Recipe
from digits.non_digits import KINDS, SEEN, every
from digits.runtime.errors import TrainingError

STREAM = 29  # which outliers; the next two have where in the batch they stand, and which styled digits
POOLED = 5000  # training images that a pool's two and half digits are made of
STYLED = 600  # drawn digits of each class: half a CPU-second
NONE = -1  # the label of an outlier, which no answer equals


@dataclass(frozen=True)
class Pool:
    """What a training draws from: outliers uint8 [m, 28, 28], styled digits likewise, and their labels."""

    outliers: NDArray[np.uint8]
    styled: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def arrays(self) -> list[NDArray[np.uint8]]:
        """All of it, for a digest."""
        return [self.outliers, self.styled, self.labels]


class Additions:
    """Those of one network's training; where the recipe wants none every batch passes as it is."""

    def __init__(self, recipe: Recipe, pool: Pool | None) -> None:
        """Raises TrainingError when the recipe wants some and the pool has none."""
        self.recipe, self.seed = recipe, recipe.seed
        for name, rows, held in (
            ("outliers", recipe.outlier_rows, pool is not None and len(pool.outliers)),
            ("styled", recipe.styled_rows, pool is not None and len(pool.styled)),
        ):
            if rows and not held:
                raise TrainingError(
                    f"train.{name} is {getattr(recipe, name):g}, and no such picture was given: make some "
                    f"with digits.train.additions.pool_of, or set train.{name} to 0"
                )
        self.outliers = tf.constant(pool.outliers) if pool and recipe.outlier_rows else None
        self.styled = tf.constant(pool.styled) if pool and recipe.styled_rows else None
        self.labels = tf.constant(pool.labels.astype(np.int32)) if pool and recipe.styled_rows else None

    def add(self, digits: Any, labels: Any, step: Any) -> tuple[Any, Any]:
        """Mix the additions into a batch of digits, by (seed, step); return images and labels.

        digits: uint8 [digits a step, 28, 28]. Damage goes by position, so the batch is turned by a random
        number of rows: additions that stood last would all get the same few damages, and digits none.
        """
        if self.outliers is None and self.styled is None:
            return digits, labels
        key = key_of(self.seed, step)

        def drawn(rows: int, stream: int, count: int) -> Any:
            return tf.minimum(tf.cast(uniform([rows], key, stream) * count, tf.int32), count - 1)

        if self.styled is not None:
            chosen = drawn(self.recipe.styled_rows, STREAM + 2, len(self.styled))
            digits = tf.concat([digits, tf.gather(self.styled, chosen)], axis=0)
            labels = tf.concat([labels, tf.gather(self.labels, chosen)], axis=0)
        if self.outliers is not None:
            chosen = drawn(self.recipe.outlier_rows, STREAM, len(self.outliers))
            digits = tf.concat([digits, tf.gather(self.outliers, chosen)], axis=0)
            labels = tf.concat([labels, tf.fill([self.recipe.outlier_rows], NONE)], axis=0)
        turn = tf.cast(uniform([], key, STREAM + 1) * self.recipe.batch, tf.int32)
        return tf.roll(digits, turn, axis=0), tf.roll(labels, turn, axis=0)

    def truth(self, truth: Any, labels: Any) -> Any:
        """The truth about a batch's rows [n, 10], with that of its outliers put in."""
        if self.outliers is None:
            return truth
        return tf.where(labels[:, tf.newaxis] == NONE, 1 / CLASSES, truth)


def pool_of(recipe: Recipe, train: Split) -> Pool | None:
    """Return what a training by the recipe draws its additions from, or None where it wants none.

    Outliers are equally many of each kind of the family SEEN, made of some thousands of the training images.
    """
    trainings = recipe.trainings()
    wanted = max((one.outlier_pool for one in trainings if one.outliers), default=0)
    styled = any(one.styled for one in trainings)
    if not wanted and not styled:
        return None
    outliers, drawn, labels = (np.empty((0, *shape), np.uint8) for shape in ((28, 28), (28, 28), ()))
    if wanted:
        rows = np.linspace(0, len(train) - 1, min(POOLED, len(train))).astype(np.intp)
        made = every(-(-wanted // len(KINDS)), recipe.seed, train.take(rows), SEEN)
        outliers = np.concatenate(list(made.values()))
    if styled:
        drawn, labels = styles.pool(STYLED, recipe.seed)
    return Pool(outliers, drawn, labels)
