"""Validation logits, labels → the temperature that makes confidences honest (Guo 2017, arXiv:1706.04599)."""

from __future__ import annotations

import math

from scipy import optimize

from digits.dataset import CLASSES
from digits.evaluate.metrics import Labels, Logits, log_softmax
from digits.runtime.errors import DataError

COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The T in [0.05, 20] for which softmax(logits / T) has the least cross-entropy.

    The truth counts as (n + 1) / (n + 2) sure rather than 1 (Platt 1999): a model without a mistake on a
    small validation split would else be declared infallible. Raises DataError when there is no image.
    """
    n = len(labels)
    if n == 0:
        raise DataError("the validation split is empty and the temperature is fitted on it: add images")
    doubt = 1 / (n + 2)
    rows = range(n)

    def loss(log_temperature: float) -> float:
        logs = log_softmax(logits / math.exp(log_temperature))
        truth = logs[rows, labels]
        others = (logs.sum(axis=1) - truth) / (CLASSES - 1)
        return float(-((1 - doubt) * truth + doubt * others).mean())

    found = optimize.minimize_scalar(
        loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-5}
    )
    return math.exp(float(found.x))
