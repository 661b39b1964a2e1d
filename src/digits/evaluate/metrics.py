"""The figures that say how good a model is, and the temperature that makes its confidences honest.

Rates are shares in [0, 1], NaN where n is 0. Temperature scaling: Guo et al. 2017 (arXiv:1706.04599).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from digits.dataset import CLASSES
from digits.runtime.errors import DataError

Logits = NDArray[np.float32] | NDArray[np.float64]  # [n, 10]
Labels = NDArray[np.uint8] | NDArray[np.intp]  # [n], 0–9

Z95 = 1.959963984540054  # the 97.5th percentile of the normal distribution: two-sided 95 %
BINS = 15  # of the calibration error, as in Guo et al. 2017 (arXiv:1706.04599)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Both ends of the 95 % interval of a rate (Wilson 1927); it stays in [0, 1] and holds near 100 %."""
    if n == 0:
        return 0.0, 1.0
    rate, spread = correct / n, Z95 * Z95 / n
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """Natural logarithms of the probabilities [n, 10]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def confidence(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Probability [n] of the digit read, the logits divided by `temperature`."""
    sure: NDArray[np.float64] = np.exp(log_softmax(logits / temperature).max(axis=1))
    return sure


def log_loss(logits: Logits, labels: Labels) -> float:
    """Mean cross-entropy in nats."""
    return _share(-log_softmax(logits)[np.arange(len(labels)), labels].sum(), len(labels))


def confusion(labels: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Counts [truth, predicted]."""
    pairs = labels.astype(np.int64) * CLASSES + predicted
    return np.bincount(pairs, minlength=CLASSES * CLASSES).reshape(CLASSES, CLASSES)


def per_digit(matrix: NDArray[np.int64]) -> dict[str, dict[str, float | int]]:
    """Precision, recall, F1, right answers and test images of each digit, from the confusion counts."""
    digits: dict[str, dict[str, float | int]] = {}
    for digit in range(CLASSES):
        right, n, answers = (
            int(v) for v in (matrix[digit, digit], matrix[digit].sum(), matrix[:, digit].sum())
        )
        digits[str(digit)] = {
            "precision": _share(right, answers),
            "recall": _share(right, n),
            "f1": _share(2 * right, n + answers),
            "correct": right,
            "n": n,
        }
    return digits


def confused_pairs(matrix: NDArray[np.int64], limit: int = 10) -> list[dict[str, int]]:
    """The (truth, predicted) pairs with most mistakes, most first; ties in the order of the digits."""
    wrong = matrix * (1 - np.eye(CLASSES, dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = [(int(i) // CLASSES, int(i) % CLASSES) for i in order]
    return [{"truth": t, "predicted": p, "n": int(wrong[t, p])} for t, p in pairs if wrong[t, p] > 0]


@dataclass(frozen=True)
class Reliability:
    """Equal-width bins of confidence: mean confidence, accuracy and number of images of each, all [bins]."""

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    n: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |accuracy − confidence| over the images."""
        filled = self.n > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return _share(float(gaps @ self.n[filled]), int(self.n.sum()))


def reliability(logits: Logits, labels: Labels, temperature: float, bins: int = BINS) -> Reliability:
    """How often the model is right where it claims a confidence, its logits divided by `temperature`."""
    return reliability_of(confidence(logits, temperature), logits.argmax(axis=1) == labels, bins)


def reliability_of(sure: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """The same of answers by their confidence, 0 to 1, and whether each is right: both [n]."""
    bin_of = np.minimum((sure * bins).astype(np.intp), bins - 1)
    n = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # an empty bin is NaN
        return Reliability(
            np.bincount(bin_of, sure, bins) / n,
            np.bincount(bin_of, right, bins) / n,
            n.astype(np.int64),
        )


def score(predicted: Labels, labels: Labels) -> dict[str, Any]:
    """Images, right answers, accuracy and its interval."""
    n, correct = len(labels), int((predicted == labels).sum())
    return {"n": n, "correct": correct, "accuracy": _share(correct, n), "interval": list(wilson(correct, n))}


def slices(predicted: Labels, labels: Labels, batches: NDArray[np.str_]) -> dict[str, dict[str, Any]]:
    """`score` of each batch on its own, by name."""
    masks = {str(name): batches == name for name in np.unique(batches)}
    return {name: score(predicted[rows], labels[rows]) for name, rows in masks.items()}


def worst_mistakes(logits: Logits, labels: Labels, limit: int) -> NDArray[np.intp]:
    """Rows answered wrongly, those that gave the truth the least probability first."""
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    truth = log_softmax(logits[wrong])[np.arange(len(wrong)), labels[wrong]]
    return wrong[np.argsort(truth, kind="stable")[:limit]]


def round_floats(tree: Any) -> Any:
    """Plain values for JSON: numbers to 6 digits after the point, None for NaN and infinity."""
    if isinstance(tree, dict):
        return {key: round_floats(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [round_floats(value) for value in tree]
    if isinstance(tree, float | np.floating):
        return round(float(tree), 6) if math.isfinite(tree) else None
    return tree


def _share(part: float, whole: int) -> float:
    return float(part) / whole if whole else math.nan


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
