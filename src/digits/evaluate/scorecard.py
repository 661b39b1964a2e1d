"""The content of metrics.json, from a candidate's answers on every set of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.evaluate import metrics, selective
from digits.evaluate.metrics import Reliability, fit_temperature
from digits.evaluate.selective import RiskCoverage

MEASURED = ("gap", "train_accuracy", "validation_accuracy", "validation_loss")  # stand on their own


@dataclass(frozen=True)
class Answers:
    """Logits [n, 10] beside the truth [n], and which images have ink (digits.ink).

    `not_finite` rows had NaN or infinity and now are a guess.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]
    inked: NDArray[np.bool_]
    not_finite: int = 0

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: NDArray[np.uint8], inked: NDArray[np.bool_]) -> Answers:
        """Answers whose rows are all finite: a broken model gets a bad score rather than a crash."""
        broken = np.asarray(~np.isfinite(logits).all(axis=1))
        return cls(np.where(broken[:, None], np.float32(0), logits), labels, inked, int(broken.sum()))

    @property
    def predicted(self) -> NDArray[np.intp]:
        """The digit read in each image."""
        digits: NDArray[np.intp] = self.logits.argmax(axis=1)
        return digits

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(metrics.score(self.predicted, self.labels)["accuracy"])


@dataclass(frozen=True)
class Scorecard:
    """What metrics.json holds, and what the pictures need besides."""

    content: dict[str, Any]
    matrix: NDArray[np.int64]
    raw: Reliability
    calibrated: Reliability
    curve: RiskCoverage


def scorecard(
    manifest: Mapping[str, Any],
    training: Mapping[str, Any],
    validation: Answers,
    test: Answers,
    heldout: Answers,
    heldout_batches: NDArray[np.str_],
    corrupted: Mapping[str, Answers],
    non_digits: Mapping[str, Answers],
    precision: float,
    lines: Mapping[str, Any] | None = None,
) -> Scorecard:
    """Every figure of metrics.json.

    manifest: names the data set, and says whether it is a sample. training: summary.json of the candidate.
    corrupted: answers on the test images under each corruption. non_digits: those on pictures without a
    digit, by kind; their labels are not looked at. precision: share right that is wanted of the answers
    given. lines: figures of the line reader, by digits.evaluate.lines; without them the gate refuses.
    Raises DataError when validation or test is empty.
    """
    temperature = fit_temperature(validation.logits, validation.labels)
    threshold = selective.threshold_for(validation.logits, validation.labels, temperature, precision)
    abstention, curve = selective.abstention(
        test.logits, test.labels, test.inked, temperature, precision, threshold
    )
    matrix = metrics.confusion(test.labels, test.predicted)
    raw = metrics.reliability(test.logits, test.labels, 1.0)
    calibrated = metrics.reliability(test.logits, test.labels, temperature)
    score = metrics.score(test.predicted, test.labels)
    table = {name: answers.accuracy for name, answers in corrupted.items()}
    content = {
        "dataset": manifest["dataset"],
        "sample": manifest["sample"],
        "n_test": score["n"],
        "correct": score["correct"],
        "accuracy": score["accuracy"],
        "accuracy_interval": score["interval"],
        "train_accuracy": training["train_accuracy"],
        "validation_accuracy": validation.accuracy,
        "gap": training["train_accuracy"] - validation.accuracy,
        "loss": metrics.log_loss(test.logits / temperature, test.labels),
        "loss_uncalibrated": metrics.log_loss(test.logits, test.labels),
        "ece": calibrated.error,
        "ece_uncalibrated": raw.error,
        "temperature": temperature,
        "digits": metrics.per_digit(matrix),
        "confused": metrics.confused_pairs(matrix),
        "corruptions": table,
        "corruption_mean": sum(table.values()) / len(table),
        "corruption_worst": min(table.values()),
        "abstention": abstention,
        "non_digits": selective.refusal_table(
            {kind: (answers.logits, answers.inked) for kind, answers in non_digits.items()},
            temperature,
            threshold,
        ),
        **({"lines": dict(lines)} if lines else {}),
        "slices": metrics.slices(heldout.predicted, heldout.labels, heldout_batches),
        "not_finite": (lines["not_finite"] if lines else 0)
        + sum(
            answers.not_finite
            for answers in (validation, test, heldout, *corrupted.values(), *non_digits.values())
        ),
        "training": {key: value for key, value in training.items() if key not in MEASURED},
    }
    return Scorecard(metrics.round_floats(content), matrix, raw, calibrated, curve)


def headline(content: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of metrics.json that two models are compared by first: few, with short names, since DVC's
    tables have a column for each.
    """
    low, high = content["accuracy_interval"]
    answers, lines = content["abstention"], content["lines"]
    return {
        "accuracy": content["accuracy"],
        "low": low,
        "high": high,
        "val": content["validation_accuracy"],
        "corrupted": content["corruption_mean"],
        "worst": content["corruption_worst"],
        "accepted": answers["coverage"],
        "right": answers["precision"],
        "lines": lines["kinds"]["mixed"]["exact"],
        "weights": content["training"]["parameters"],
    }
