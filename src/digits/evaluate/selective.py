"""Selective classification: which answers to give, which to withhold, and what that costs and gains.

An image is answered when it has ink (digits.ink) and the model's confidence, the calibrated probability of
the digit read, reaches a threshold: selective classification, El-Yaniv & Wiener 2010 (JMLR 11), with the
softmax response of Geifman & El-Yaniv 2017 (arXiv:1705.08500). Coverage: share of images answered. Risk:
share of wrong ones among those.

The threshold is the empirical one: on the images that it was fitted on, the answers given are as precise as
asked, and on others about so. That is no guarantee. `guaranteed_precision` is one, and shows what a split of
some thousand images can promise: 5,001 answers without a single mistake prove 99.94 % at 95 % confidence, so
99.95 % can be aimed at and not proved. Both hold for images of the kind that was measured, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from digits.evaluate.metrics import Labels, Logits, confidence, wilson
from digits.runtime.errors import DataError
from digits.wire import NEVER

Mask = NDArray[np.bool_]  # [n]

DELTA = 0.05  # how likely a guarantee may be wrong
GRID = 1e6  # thresholds have six digits after the point, as metrics.json holds them
POINTS = (0.998, 0.999, 0.9995, 0.9999)  # precisions whose coverage metrics.json tells


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, one point for each distinct confidence, from the surest answers to all: all arrays [points].

    answered and wrong are counts. aurc: area under it, the mean risk over all coverages.
    """

    threshold: NDArray[np.float64]
    answered: NDArray[np.int64]
    wrong: NDArray[np.int64]
    aurc: float

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the images answered."""
        shares: NDArray[np.float64] = self.answered / self.answered[-1]
        return shares

    @property
    def risk(self) -> NDArray[np.float64]:
        """Share of wrong ones among the answers."""
        shares: NDArray[np.float64] = self.wrong / self.answered
        return shares

    def at_precision(self, precision: float) -> tuple[float, float]:
        """(threshold, coverage) of the most answers of which this share is right; (NEVER, 0) if of none."""
        enough = np.flatnonzero(self.wrong <= (1 - precision) * self.answered + 1e-9)
        if not len(enough):
            return NEVER, 0.0
        return float(self.threshold[enough[-1]]), float(self.coverage[enough[-1]])


def risk_coverage(logits: Logits, labels: Labels, temperature: float) -> RiskCoverage:
    """What is gained by withholding the least confident answers. Raises DataError when there is no image."""
    if not len(labels):
        raise DataError("there is no image to weigh answers against mistakes on: add images to the split")
    return curve_of(confidence(logits, temperature), logits.argmax(axis=1) == labels)


def curve_of(sure: NDArray[np.float64], right: Mask) -> RiskCoverage:
    """The same of answers by their confidence, at least one, and whether each is right: both [n]."""
    # Down to the grid, so that the answers that a threshold was chosen by are among those that it accepts.
    values, place = np.unique(-np.floor(sure * GRID) / GRID, return_inverse=True)
    images = np.bincount(place)
    answered = np.cumsum(images)
    mistakes = np.cumsum(np.bincount(place, ~right)).astype(np.int64)
    area = float((mistakes / answered) @ images / len(sure))
    return RiskCoverage(-values, answered, mistakes, area)


def threshold_for(logits: Logits, labels: Labels, temperature: float, precision: float) -> float:
    """The least confidence in [0, 1] from which on at least `precision` of the answers are right, on these
    images and without a guarantee for others; NEVER where no confidence is enough."""
    return risk_coverage(logits, labels, temperature).at_precision(precision)[0]


def guaranteed_precision(right: int, answered: int, delta: float = DELTA) -> float:
    """The share right that the true one exceeds with probability 1 − delta (Clopper & Pearson 1934).

    Holds for images that did not choose the threshold. On those that did, delta is to be shared among the
    thresholds tried (Geifman & El-Yaniv 2017, algorithm 1), which promises less.
    """
    return float(stats.beta.ppf(delta, right, answered - right + 1)) if right else 0.0


def abstention(
    logits: Logits, labels: Labels, inked: Mask, temperature: float, precision: float, threshold: float
) -> tuple[dict[str, Any], RiskCoverage]:
    """What the threshold does to images that it was not fitted on, for metrics.json, and their curve.

    inked: [n], by digits.ink; the curve is of the confidence alone.
    """
    curve = risk_coverage(logits, labels, temperature)
    given = accepted(logits, inked, temperature, threshold)
    right = given & (logits.argmax(axis=1) == labels)
    n, answered, correct = len(labels), int(given.sum()), int(right.sum())
    points = {f"{point:g}": curve.at_precision(point) for point in POINTS}
    return {
        "target": precision,
        "threshold": threshold,
        "n": n,
        "answered": answered,
        "correct": correct,
        "coverage": answered / n,
        "coverage_interval": list(wilson(answered, n)),
        "precision": correct / answered if answered else float("nan"),
        "precision_interval": list(wilson(correct, answered)),
        "precision_guaranteed": guaranteed_precision(correct, answered),
        "aurc": curve.aurc,
        "curve": {name: {"threshold": t, "coverage": c} for name, (t, c) in points.items()},
    }, curve


def accepted(logits: Logits, inked: Mask, temperature: float, threshold: float) -> Mask:
    """Whether each image is answered. [n]"""
    given: Mask = inked & (confidence(logits, temperature) >= threshold)
    return given


def refusal_table(
    non_digits: Mapping[str, tuple[Logits, Mask]], temperature: float, threshold: float
) -> dict[str, dict[str, Any]]:
    """By kind of picture that shows no digit: how many, and which share is rightly not answered.

    non_digits: kind → the logits of its pictures, and which of these have ink.
    """
    table = {}
    for kind, (logits, inked) in non_digits.items():
        n, held = len(logits), int((~accepted(logits, inked, temperature, threshold)).sum())
        table[kind] = {
            "n": n,
            "refused": held,
            "share": held / n if n else float("nan"),
            "interval": list(wilson(held, n)),
        }
    return table
