"""Decides whether a model may be exported, and with which temperature and threshold.

The last look at the paper: that the verdict is a pass, is whole, and judges this model on these data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.runtime.errors import DataError, GateRefused
from digits.wire import NEVER

REDO = "run `dvc repro --force evaluate`"
# rule → the figure of metrics.json that it judged: the verdict repeats it, so the two can be held together
JUDGED = {
    "accuracy": "accuracy",
    "test_images": "n_test",
    "corruption_mean": "corruption_mean",
    "calibration_error": "ece",
}


@dataclass(frozen=True)
class LineFit:
    """How the confidence of a line follows from the log-likelihood of its text, by logistic regression.

    It is sigmoid(slope × log-likelihood + offset). threshold: the least confidence of an accepted line.
    """

    slope: float
    offset: float
    threshold: float


@dataclass(frozen=True)
class Fitted:
    """What evaluate fitted on validation.

    temperature: what the logits are divided by. threshold: the least confidence of an accepted answer.
    """

    temperature: float
    threshold: float
    lines: LineFit


def admit(metrics: Any, verdict: Any, manifest: Any) -> Fitted:
    """What to export with. Raises GateRefused when the verdict is no pass, DataError when what was
    read is damaged or does not belong together."""
    _whole(metrics, verdict, manifest)
    failed = [f"{rule['rule']}: {rule['reason']}" for rule in verdict["rules"] if rule["passed"] is not True]
    if verdict["passed"] is not True:
        reasons = "; ".join(failed) or "the verdict gives no reason"
        raise GateRefused(
            f"the model did not pass, so nothing was exported ({reasons}): improve it or its data"
        )
    if failed or not verdict["rules"]:
        raise DataError(
            f"the verdict says passed against its own rules ({'; '.join(failed) or 'none'}): {REDO}"
        )
    names = {"metrics": metrics["dataset"], "verdict": verdict["dataset"], "manifest": manifest["dataset"]}
    if len(set(names.values())) > 1:
        told = ", ".join(f"{source}: {name}" for source, name in names.items())
        raise DataError(f"the metrics, the verdict and the data are of different data sets ({told}): {REDO}")
    values = {rule["rule"]: rule["value"] for rule in verdict["rules"]}
    for rule, figure in JUDGED.items():
        judged, measured = (
            _number(values.get(rule), f"verdict's {rule}"),
            _number(metrics.get(figure), figure),
        )
        if abs(judged - measured) > 1e-5:
            raise DataError(f"the verdict judged {figure} {judged:g}, the metrics say {measured:g}: {REDO}")
    temperature = _number(metrics.get("temperature"), "temperature")
    if not 0.01 <= temperature <= 100:
        raise DataError(f"temperature is {temperature:g} in the metrics, expected 0.01 to 100: {REDO}")
    slope, offset = _figure(metrics, "lines", "fit", "slope"), _figure(metrics, "lines", "fit", "offset")
    if slope < 0:
        raise DataError(f"lines.fit.slope is {slope:g} in the metrics, expected 0 or more: {REDO}")
    line_fit = LineFit(slope, offset, _threshold(metrics, "lines", "fit"))
    return Fitted(temperature, _threshold(metrics, "abstention"), line_fit)


def refuse_other_model(
    metrics: Mapping[str, Any], logits: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    """Raises DataError when a model's answers on the validation images are not those that were scored.

    logits: float32 [n, 10]. Two answers may differ: near a tie, another processor can read another digit.
    """
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    told = _number(metrics.get("validation_accuracy"), "validation_accuracy")
    if not abs(accuracy - told) <= 2 / len(labels) + 1e-5:
        raise DataError(
            f"the metrics are of another model: they say {told:.4%} of the validation images are right, "
            f"the candidate has {accuracy:.4%}: {REDO}"
        )


def _whole(metrics: Any, verdict: Any, manifest: Any) -> None:
    for name, tree in {"metrics": metrics, "verdict": verdict, "manifest": manifest}.items():
        if not isinstance(tree, Mapping) or not isinstance(tree.get("dataset"), str):
            raise DataError(f"the {name} name no data set, so they are not what evaluate writes: {REDO}")
    rules = verdict.get("rules")
    if not isinstance(rules, list) or not all(
        isinstance(rule, Mapping) and {"rule", "value", "passed", "reason"} <= rule.keys() for rule in rules
    ):
        raise DataError(f"the verdict lists no rules with their outcomes: {REDO}")


def _threshold(metrics: Mapping[str, Any], *section: str) -> float:
    threshold = _figure(metrics, *section, "threshold")
    if not 0 <= threshold <= NEVER:
        raise DataError(f"the threshold is {threshold:g} in the metrics, expected 0 to {NEVER:g}: {REDO}")
    return threshold


def _figure(tree: Any, *path: str) -> float:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return _number(tree, ".".join(path))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{name} is {value!r}, expected a number: {REDO}")
    return float(value)
