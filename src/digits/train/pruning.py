"""Pruning: the smallest weights of each kernel become zero while a network trains, more and more of them.

After Zhu & Gupta 2017 (arXiv:1710.01878): the share of zeros rises by a cubic from 0 to `train.sparsity`,
fast at first, when most weights can be spared, and then stands still while the others make up for it. What is
zero stays zero. Weights pack smaller so, and answer no sooner: convolutions multiply zeros like any number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from digits.model.recipe import Recipe
from digits.train.flat_weights import Flat

BEGIN, END = 0.2, 0.7  # shares of the steps between which kernels thin out
UPDATES = 100  # of the mask in a training; each sorts all weights


class Pruning:
    """The mask of a network's kernels; with a sparsity of 0 there is none, and nothing is computed."""

    def __init__(self, recipe: Recipe, kernels: Flat, variable: Callable[[Any, str], Any]) -> None:
        """variable: makes one of a start value and a name."""
        self.recipe, self.kernels = recipe, kernels
        self.every = max(1, recipe.steps // UPDATES)
        self.variables: dict[str, Any] = {}
        if recipe.sparsity:
            self.mask = variable(tf.ones([sum(kernels.sizes)]), "mask")
            self.variables = {"mask": self.mask}

    def apply(self, step: Any, weights: Sequence[Any]) -> None:
        """Zero the masked weights of some flat variables, after `step`; the first one decides the mask."""
        if not self.recipe.sparsity:
            return
        due = tf.equal(step % self.every, 0)
        mask = tf.cond(
            due, lambda: self._largest(weights[0].value, self.share(step)), lambda: self.mask.value
        )
        self.mask.assign(mask)
        for variable in weights:
            variable.assign(variable.value * mask)

    def share(self, step: Any) -> Any:
        """Of each kernel, the weights that are zero after a step, counted from 0."""
        begin, end = BEGIN * self.recipe.steps, END * self.recipe.steps
        passed = tf.clip_by_value((tf.cast(step, tf.float32) - begin) / (end - begin), 0.0, 1.0)
        return self.recipe.sparsity * (1 - (1 - passed) ** 3)

    def _largest(self, weights: Any, share: Any) -> Any:
        """1 for what stays, 0 for each kernel's smallest weights."""
        kept = []
        for kernel in self.kernels.split(weights):
            sizes = tf.reshape(tf.abs(kernel), [-1])
            zeros = tf.cast(tf.round(share * sizes.shape[0]), tf.int32)
            least = tf.concat([[-1.0], tf.sort(sizes)], axis=0)[zeros]  # -1: nothing is smaller
            kept.append(tf.cast(sizes > least, tf.float32))
        return tf.concat(kept, axis=0)
