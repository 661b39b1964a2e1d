"""How well whole lines are read: their figures, and the fit that makes their confidence honest.

A line is read exactly when its digits are all right; separators do not count. Its confidence is
sigmoid(slope * log-likelihood + offset), fitted on validation lines (Platt 1999). It is accepted when that
reaches a threshold, it has a digit, and it was read to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from digits.evaluate.metrics import reliability_of, wilson
from digits.evaluate.selective import Mask, curve_of
from digits.line_model.lines import digits_of, edits
from digits.wire import NEVER

Floats = NDArray[np.float64]

SURE = 0.999  # the precision whose coverage metrics.json tells


@dataclass(frozen=True)
class LineAnswers:
    """What was read in `n` lines, beside what they say: characters from left to right, 0–9 and SEPARATOR.

    log_likelihood: [n], of what was read. complete: [n], whether it was read to its end. `not_finite` lines
    had NaN or infinity and now are a guess.
    """

    said: list[list[int]]
    truth: list[list[int]]
    log_likelihood: Floats
    complete: Mask
    not_finite: int = 0

    @classmethod
    def joined(cls, parts: Iterable[LineAnswers]) -> LineAnswers:
        """All lines of at least one part, in order."""
        parts = list(parts)
        return cls(
            [said for part in parts for said in part.said],
            [truth for part in parts for truth in part.truth],
            np.concatenate([part.log_likelihood for part in parts]),
            np.concatenate([part.complete for part in parts]),
            sum(part.not_finite for part in parts),
        )

    def __len__(self) -> int:
        return len(self.said)

    @cached_property
    def right(self) -> Mask:
        """Whether the digits are all right. [n]"""
        pairs = zip(self.said, self.truth, strict=True)
        return np.array([digits_of(said) == digits_of(truth) for said, truth in pairs], bool)

    @cached_property
    def answerable(self) -> Mask:
        """Whether there is an answer that could be accepted. [n]"""
        some: Mask = np.array([bool(digits_of(said)) for said in self.said], bool)
        return some & self.complete


@dataclass(frozen=True)
class Fit:
    """What makes an answer's confidence of its log-likelihood, and the least one that is accepted."""

    slope: float
    offset: float
    threshold: float

    def confidence(self, answers: LineAnswers) -> Floats:
        """The probability that the digits are all right. [n]"""
        return _confidence(answers.log_likelihood, self.slope, self.offset)

    def accepted(self, answers: LineAnswers) -> Mask:
        """Which answers are given. [n]"""
        given: Mask = answers.answerable & (self.confidence(answers) >= self.threshold)
        return given


def _confidence(log_likelihood: Floats, slope: float, offset: float) -> Floats:
    sure: Floats = special.expit(slope * log_likelihood + offset)
    return sure


def fit(validation: LineAnswers, precision: float) -> Fit:
    """The slope, 0 or more, and the offset of the logistic regression of right answers, and the least
    confidence from which this share of the accepted is right; NEVER where none is enough.

    Right counts as (n + 1) / (n + 2) sure and wrong as 1 / (n + 2), n being how many there are (Platt 1999):
    so lines that are all right, or all wrong, have a finite fit.
    """
    given = validation.answerable
    x, right = validation.log_likelihood[given], validation.right[given]
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    targets = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        logit = line[0] * x + line[1]
        apart = special.expit(logit) - targets
        return float((np.logaddexp(0, logit) - targets * logit).sum()), np.array([apart @ x, apart.sum()])

    found = optimize.minimize(loss, (1.0, 0.0), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    slope, offset = (round(float(value), 6) for value in found.x)  # as metrics.json holds them
    threshold = NEVER
    if len(x):
        threshold = curve_of(_confidence(x, slope, offset), right).at_precision(precision)[0]
    return Fit(slope, offset, threshold)


def score_lines(
    validation: LineAnswers,
    composed: Mapping[str, LineAnswers],
    without_digits: Mapping[str, LineAnswers],
    held_out: Mapping[str, LineAnswers],
    precision: float,
) -> tuple[Fit, dict[str, Any]]:
    """The fit of the answers to validation lines, and what metrics.json says of the lines.

    composed: answers by kind, at least one line each. without_digits: answers to lines that hold no digit, by
    kind. held_out: answers to lines of incoming batches that were held out, by batch. precision: share right
    that is wanted of the accepted answers.
    """
    fitted = fit(validation, precision)
    together = LineAnswers.joined(composed.values())
    given, right = together.answerable, together.right
    sure = fitted.confidence(together)
    surest = curve_of(sure[given], right[given]).at_precision(SURE)[1] if given.any() else 0.0
    everything = [validation, *composed.values(), *without_digits.values(), *held_out.values()]
    return fitted, {
        "fit": vars(fitted) | {"target": precision},
        "kinds": {kind: _of_kind(fitted, answers) for kind, answers in composed.items()},
        "accepted": _accepted(fitted, together)
        | {
            "coverage_at_999": surest * float(given.mean()),
            "calibration_error": reliability_of(sure[given], right[given]).error,
        },
        "without_digits": {kind: _refused(fitted, answers) for kind, answers in without_digits.items()},
        "slices": {batch: _of_kind(fitted, answers) for batch, answers in held_out.items()},
        "not_finite": sum(answers.not_finite for answers in everything),
    }


def _of_kind(fitted: Fit, answers: LineAnswers) -> dict[str, Any]:
    n, correct = len(answers), int(answers.right.sum())
    written = sum(map(len, answers.truth))
    wrong = sum(edits(said, truth) for said, truth in zip(answers.said, answers.truth, strict=True))
    given = _accepted(fitted, answers)
    return {
        "n": n,
        "correct": correct,
        "exact": correct / n,
        "interval": list(wilson(correct, n)),
        "character_error_rate": wrong / written if written else float("nan"),
        "coverage": given["coverage"],
        "precision": given["precision"],
    }


def _accepted(fitted: Fit, answers: LineAnswers) -> dict[str, Any]:
    given = fitted.accepted(answers)
    n, answered, correct = len(answers), int(given.sum()), int((given & answers.right).sum())
    return {
        "lines": n,
        "n": answered,
        "correct": correct,
        "coverage": answered / n,
        "precision": correct / answered if answered else float("nan"),
        "precision_interval": list(wilson(correct, answered)),
    }


def _refused(fitted: Fit, answers: LineAnswers) -> dict[str, Any]:
    n, held = len(answers), int((~fitted.accepted(answers)).sum())
    return {"n": n, "refused": held, "share": held / n, "interval": list(wilson(held, n))}
