"""The gate: decides by metrics and limits whether a model may be exported.

The verdict depends on data, code and params only.
A figure that is missing, not a number or out of range refuses: what was not measured was not passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.line_sets import WITHOUT
from digits.evaluate.metrics import wilson
from digits.non_digits import KINDS
from digits.runtime.params import EvaluateParams


@dataclass(frozen=True)
class Rule:
    """One rule's outcome: value and threshold are None where they could not be had."""

    rule: str
    value: float | None
    threshold: float | None
    passed: bool
    reason: str


@dataclass(frozen=True)
class Verdict:
    """Passed when every rule passed."""

    passed: bool
    dataset: str
    rules: tuple[Rule, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for verdict.json."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}


class _Unusable(Exception):
    """A figure can't be judged; the text says which and why."""


def decide(metrics: Mapping[str, Any], params: EvaluateParams) -> Verdict:
    """Judge `metrics` (the content of metrics.json) by every rule; never raises on what they hold."""
    rules = tuple(_judge(name, rule, metrics, params) for name, rule in RULES.items())
    return Verdict(all(r.passed for r in rules), str(metrics.get("dataset", "unknown")), rules)


# A rule: (metrics, params) → (value, threshold, passed, reason)
_Outcome = tuple[float, float, bool, str]
_Rule = Callable[[Mapping[str, Any], EvaluateParams], _Outcome]


def _judge(name: str, rule: _Rule, metrics: Mapping[str, Any], params: EvaluateParams) -> Rule:
    try:
        return Rule(name, *rule(metrics, params))
    except _Unusable as error:
        return Rule(name, None, None, False, f"{error}, so it can't be judged")


def _number(tree: Any, *path: str, top: float = 1.0) -> float:
    """The finite number at `path`, between 0 and `top`."""
    name = ".".join(path)
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            raise _Unusable(f"{name} is missing")
        tree = tree[key]
    if isinstance(tree, bool) or not isinstance(tree, int | float) or not math.isfinite(tree):
        raise _Unusable(f"{name} is {tree!r} and not a number")
    if not 0 <= tree <= top:
        raise _Unusable(f"{name} is {tree:g}, outside 0 to {top:g}")
    return float(tree)


def _count(tree: Any, *path: str) -> int:
    return int(_number(tree, *path, top=1e12))


def _part(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = tree.get(key)
    if not isinstance(part, Mapping):
        raise _Unusable(f"{key} is missing")
    return part


def _right(tree: Mapping[str, Any], *path: str, n: str = "n") -> tuple[int, int]:
    """(right answers, images) at `path`; at least one image."""
    images = _count(tree, *path, n)
    correct = _count(tree, *path, "correct")
    if not 0 < images >= correct:
        raise _Unusable(f"{'.'.join([*path, 'correct'])} is {correct:,} of {images:,} images")
    return correct, images


def _accuracy(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    value, (correct, n) = _number(metrics, "accuracy"), _right(metrics, n="n_test")
    if abs(value - correct / n) > 1e-5:
        raise _Unusable(f"accuracy is {value:.4%} while {correct:,} of {n:,} are right")
    passed = value >= params.accuracy
    return value, params.accuracy, passed, f"{value:.2%} right, {params.accuracy:.2%} wanted"


def _lower_bound(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    correct, n = _right(metrics, n="n_test")
    floor = params.lower_bound if n >= params.large_test else params.lower_bound_small
    low = wilson(correct, n)[0]
    return (
        low,
        floor,
        low >= floor,
        f"at least {low:.2%} with 95% confidence, {floor:.2%} wanted at n = {n:,}",
    )


def _test_images(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    n, expected = _count(metrics, "n_test"), _of_dataset(metrics, params, "n_test", "number of test images")
    return n, expected, n == expected, f"{n:,} test images, {expected:,} expected of {metrics['dataset']}"


def _of_dataset(metrics: Mapping[str, Any], params: EvaluateParams, key: str, what: str = "floor") -> Any:
    """The entry for the metrics' data set of a key of params.yaml that has one for each."""
    table, dataset = getattr(params, key), metrics.get("dataset")
    if dataset not in table:
        raise _Unusable(f"evaluate.{key} in params.yaml gives no {what} for {dataset!r}")
    return table[dataset]


def _not_perfect(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    n, accuracy = _count(metrics, "n_test"), _number(metrics, "accuracy")
    suspicious = accuracy == 1.0 and n >= params.large_test
    if suspicious:
        return accuracy, 1.0, False, f"all of {n:,} right: about 10 MNIST labels are wrong, so suspect a leak"
    return accuracy, 1.0, True, "not suspiciously perfect"


def _finite(metrics: Mapping[str, Any], _: EvaluateParams) -> _Outcome:
    count = _count(metrics, "not_finite")
    return count, 0, count == 0, f"{count:,} answers are NaN or infinite, none may be"


def _digits(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    digits = _part(metrics, "digits")
    at_best = {digit: wilson(*_right(digits, digit))[1] for digit in "0123456789"}
    low = [digit for digit, bound in at_best.items() if bound < params.digit]
    worst = min(at_best, key=at_best.__getitem__)
    named = ", ".join(f"{digit} at best {at_best[digit]:.1%}" for digit in low or [worst])
    text = f"digit {named} right with 95% confidence, {params.digit:.1%} wanted"
    return at_best[worst], params.digit, not low, text


def _corruptions(metrics: Mapping[str, Any]) -> dict[str, float]:
    table = _part(metrics, "corruptions")
    return {name: _number(table, name) for name in CORRUPTIONS}


def _corruption_mean(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    table = _corruptions(metrics)
    value, floor = sum(table.values()) / len(table), params.corruption_mean
    return (
        value,
        floor,
        value >= floor,
        f"{value:.1%} right over {len(table)} corruptions, {floor:.1%} wanted",
    )


def _corruption_worst(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    table = _corruptions(metrics)
    worst = min(table, key=table.__getitem__)
    value, floor = table[worst], params.corruption_worst
    return (
        value,
        floor,
        value >= floor,
        f"{value:.1%} right under the worst, {worst.replace('_', ' ')}, {floor:.1%} wanted",
    )


def _calibration(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    value, most = _number(metrics, "ece"), params.calibration_error
    return (
        value,
        most,
        value <= most,
        f"confidence is off by {value:.2%} on average, at most {most:.2%} allowed",
    )


def _new_batches(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    batches, floor = _part(metrics, "slices"), params.new_batch
    at_best = {name: wilson(*_right(batches, name))[1] for name in batches}
    if not at_best:
        return 1.0, floor, True, "no incoming batch has held-out images"
    worst = min(at_best, key=at_best.__getitem__)
    value = at_best[worst]
    return value, floor, value >= floor, f"batch {worst} at best {value:.1%} right, {floor:.1%} wanted"


def _non_digits(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    table, floor = _part(metrics, "non_digits"), params.non_digits
    value = sum(_number(table, kind, "share") for kind in KINDS) / len(KINDS)
    text = f"{value:.1%} of the pictures without a digit refused, {_wanted(floor)}"
    return value, floor, value >= floor, text


def _lines_of(metrics: Mapping[str, Any], params: EvaluateParams, *, kind: str, key: str) -> _Outcome:
    """The share of a kind's lines that are read exactly."""
    floor = _of_dataset(metrics, params, key)
    value = wilson(*_right(metrics, "lines", "kinds", kind))[1]
    return value, floor, value >= floor, f"{kind} lines at best {value:.1%} exact, {_wanted(floor)}"


def _lines_precision(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    floor = _of_dataset(metrics, params, "lines_precision")
    if not _count(metrics, "lines", "accepted", "n"):
        return 0.0, floor, floor == 0, f"no line is accepted; share right of those, {_wanted(floor)}"
    value = wilson(*_right(metrics, "lines", "accepted"))[1]
    text = f"accepted lines at best {value:.2%} right with 95% confidence, {_wanted(floor)}"
    return value, floor, value >= floor, text


def _lines_without_digits(metrics: Mapping[str, Any], params: EvaluateParams) -> _Outcome:
    floor = _of_dataset(metrics, params, "lines_without_digits")
    shares = [_number(metrics, "lines", "without_digits", kind, "share") for kind in WITHOUT]
    value = sum(shares) / len(shares)
    text = f"{value:.1%} of the lines without a digit refused, {_wanted(floor)}"
    return value, floor, value >= floor, text


def _wanted(floor: float) -> str:
    return f"{floor:.1%} wanted" if floor else "which is only reported"


RULES: dict[str, _Rule] = {
    "accuracy": _accuracy,
    "accuracy_lower_bound": _lower_bound,
    "every_digit": _digits,
    "test_images": _test_images,
    "not_perfect": _not_perfect,
    "finite_answers": _finite,
    "corruption_mean": _corruption_mean,
    "corruption_worst": _corruption_worst,
    "calibration_error": _calibration,
    "new_batches": _new_batches,
    "non_digits": _non_digits,
    "lines_exact": partial(_lines_of, kind="mixed", key="lines_exact"),
    "lines_clean": partial(_lines_of, kind="clean", key="lines_clean"),
    "lines_precision": _lines_precision,
    "lines_without_digits": _lines_without_digits,
}
