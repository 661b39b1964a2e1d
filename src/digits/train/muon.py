"""Muon over one vector that holds many kernels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

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
