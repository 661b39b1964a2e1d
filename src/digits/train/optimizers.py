"""The optimizer and the learning-rate schedule of a recipe; Muon over one vector that holds many kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from digits.model.recipe import Recipe
from digits.train.flat_weights import Flat


class FlatMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Muon for the kernels, Adam for the rest (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A kernel's averaged gradient, as a matrix of inputs × filters, is brought close to the nearest orthogonal
    one before it is applied, scaled such that the rates of AdamW fit (Liu et al. 2025, arXiv:2502.16982).
    """

    def __init__(self, rate: Any, layout: Flat, weight_decay: float, beta_2: float) -> None:
        """layout: of the kernels in the first variable that it is built with, which alone decays."""
        super().__init__(rate, weight_decay=weight_decay, adam_weight_decay=0.0, adam_beta_2=beta_2)
        self.layout = layout

    def _should_use_adamw(self, variable: Any) -> bool:
        return bool(self._get_variable_index(variable) != 0)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign(m, self.momentum * m + gradient)
        ahead = gradient + self.momentum * m  # Nesterov's
        parts = zip(self.layout.split(ahead), self.layout.shapes, strict=True)
        matrices = [tf.reshape(part, [-1, shape[-1]]) for part, shape in parts]
        made = [self.lr_adjust(self.zeropower_via_newtonschulz5(each, self.ns_steps)) for each in matrices]
        self.assign_sub(variable, lr * self.layout.join(made))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up, then constant, linear to zero, or half a cosine to zero."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, step: Any) -> Any:
        """The rate at a step, counted from 0."""
        recipe = self.recipe
        warm = max(1, round(recipe.warmup * recipe.steps))
        step = tf.cast(step, tf.float32)
        left = 1 - tf.clip_by_value((step - warm) / max(1, recipe.steps - warm), 0.0, 1.0)
        after = {"constant": tf.ones_like(left), "linear": left, "cosine": (1 - tf.cos(math.pi * left)) / 2}
        return recipe.rate * tf.minimum((step + 1) / warm, 1.0) * after[recipe.schedule]

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the schedule."""
        return {"recipe": self.recipe}


def optimizer(recipe: Recipe, kernels: Any, others: Any, layout: Flat) -> Any:
    """Keras's optimizer over two flat variables; weight decay reaches the kernels alone.

    adamw: Loshchilov & Hutter 2019 (arXiv:1711.05101). muon: `digits.train.optimizers`, which has to know the
    kernels' layout. float16 is scaled against underflow.
    """
    rate = Schedule(recipe)
    makers: dict[str, Callable[[], Any]] = {
        "adam": lambda: keras.optimizers.Adam(rate, beta_2=recipe.beta_2),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, beta_2=recipe.beta_2),
        "muon": lambda: FlatMuon(rate, layout, recipe.weight_decay, recipe.beta_2),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate),
    }
    made = makers[recipe.optimizer]()
    made.exclude_from_weight_decay(var_list=[others])
    if recipe.precision == "float16":
        made = keras.optimizers.LossScaleOptimizer(made)
    made.build([kernels, others])
    return made
