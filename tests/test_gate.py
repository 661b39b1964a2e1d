import copy
import math
from pathlib import Path
from typing import Any

import pytest

from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.gate import RULES, decide
from digits.non_digits import KINDS
from digits.runtime import params

PARAMS = params.load("evaluate", Path(__file__).parents[1] / "params.yaml")


def metrics(correct: int, n: int, dataset: str, wrong: dict[str, int] | None = None) -> dict[str, Any]:
    """Figures of a good model; `wrong` says of which digits the mistakes are, else they are spread evenly."""
    mistakes = wrong or {str(d): (n - correct + d) // 10 for d in range(10)}
    digits = {str(d): {"n": n // 10, "correct": n // 10 - mistakes.get(str(d), 0)} for d in range(10)}
    return {
        "dataset": dataset,
        "n_test": n,
        "correct": correct,
        "accuracy": correct / n,
        "ece": 0.004,
        "digits": digits,
        "corruptions": dict.fromkeys(CORRUPTIONS, 0.95),
        "slices": {},
        "non_digits": {kind: {"share": 0.5} for kind in KINDS},
        "not_finite": 0,
    }


GOOD = metrics(9955, 10_000, "mnist")
SAMPLE = metrics(990, 1000, "mnist-sample-5k")


def failing(content: dict[str, Any]) -> list[str]:
    verdict = decide(content, PARAMS)
    failed = [rule.rule for rule in verdict.rules if not rule.passed]
    assert verdict.passed == (not failed)
    assert len(verdict.rules) == len(RULES) and all(rule.reason for rule in verdict.rules)
    return failed


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(base)
    *parents, last = path.split("/")
    part = tree
    for key in parents:
        part = part[key]
    part[last] = value
    return tree


def removed(base: dict[str, Any], path: str) -> dict[str, Any]:
    tree = copy.deepcopy(base)
    *parents, last = path.split("/")
    part = tree
    for key in parents:
        part = part[key]
    del part[last]
    return tree


@pytest.mark.parametrize("content", [GOOD, SAMPLE])
def test_a_good_model_passes_every_rule(content: dict[str, Any]) -> None:
    assert failing(content) == []


@pytest.mark.parametrize(
    ("content", "rules"),
    [
        (metrics(9799, 10_000, "mnist"), ["accuracy", "accuracy_lower_bound"]),
        (metrics(9810, 10_000, "mnist"), ["accuracy_lower_bound"]),  # could be luck
        (metrics(9830, 10_000, "mnist"), []),
        (metrics(979, 1000, "mnist-sample-5k"), ["accuracy", "accuracy_lower_bound"]),
        (metrics(983, 1000, "mnist-sample-5k"), []),  # a wide interval alone refuses nothing
        (metrics(9955, 9999, "mnist"), ["test_images"]),
        (metrics(995, 1000, "mnist"), ["test_images"]),
        (metrics(9955, 10_000, "fashion"), ["test_images"]),
        (metrics(10_000, 10_000, "mnist"), ["not_perfect"]),
        (metrics(1000, 1000, "mnist-sample-5k"), []),  # a thousand may all be right
        (
            metrics(9870, 10_000, "mnist", {"8": 130}),
            ["every_digit"],
        ),  # the total is fine, one digit collapsed
        (metrics(992, 1000, "mnist-sample-5k", {"3": 8}), []),  # 92 of 100: within chance of the floor
        (metrics(985, 1000, "mnist-sample-5k", {"3": 15}), ["every_digit"]),
        (changed(GOOD, "not_finite", 1), ["finite_answers"]),
        (changed(GOOD, "ece", 0.08), ["calibration_error"]),
        (changed(GOOD, "corruptions", dict.fromkeys(CORRUPTIONS, 0.8)), ["corruption_mean"]),
        (changed(GOOD, "corruptions/inverted", 0.1), ["corruption_worst"]),
        (changed(GOOD, "slices", {"scans": {"n": 200, "correct": 190}}), []),
        (changed(GOOD, "slices", {"scans": {"n": 20, "correct": 17}}), []),  # few images: within chance
        (
            changed(GOOD, "slices", {"a": {"n": 20, "correct": 20}, "b": {"n": 200, "correct": 160}}),
            ["new_batches"],
        ),
    ],
)
def test_each_rule_refuses_what_it_is_for_and_nothing_else(content: dict[str, Any], rules: list[str]) -> None:
    assert failing(content) == rules


def test_the_collapsed_digit_is_named_with_its_rate() -> None:
    verdict = decide(metrics(9870, 10_000, "mnist", {"8": 130}), PARAMS)
    reason = next(rule.reason for rule in verdict.rules if rule.rule == "every_digit")
    assert "digit 8 at best 88.9%" in reason and "95.0% wanted" in reason


BROKEN = [math.nan, math.inf, -0.1, None, "0.99", True, [], 98.5]


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("accuracy", "accuracy"),
        ("ece", "calibration_error"),
        ("corruptions/blur", "corruption_mean"),
        ("corruptions/blur", "corruption_worst"),
    ],
)
def test_a_broken_share_refuses_with_its_name(path: str, rule: str, value: Any) -> None:
    verdict = decide(changed(GOOD, path, value), PARAMS)
    [outcome] = [r for r in verdict.rules if r.rule == rule]
    assert not verdict.passed and not outcome.passed
    assert path.replace("/", ".").split(".")[-1] in outcome.reason
    assert outcome.value is None


@pytest.mark.parametrize("value", [math.nan, None, "10000", -1, True, {}])
@pytest.mark.parametrize("path", ["n_test", "correct", "not_finite", "digits/3/n", "digits/3/correct"])
def test_a_broken_count_refuses(path: str, value: Any) -> None:
    assert failing(changed(GOOD, path, value)) != []


@pytest.mark.parametrize("key", [k for k in GOOD if k != "dataset"])
def test_a_missing_figure_refuses(key: str) -> None:
    verdict = decide(removed(GOOD, key), PARAMS)
    assert not verdict.passed
    assert any(f"{key} is missing" in rule.reason for rule in verdict.rules if not rule.passed)


@pytest.mark.parametrize(
    "path", ["corruptions/spatter", "digits/7", "digits/7/correct", "non_digits/letters"]
)
def test_a_missing_part_of_a_table_refuses(path: str) -> None:
    assert failing(removed(GOOD, path)) != []


def test_refusing_no_picture_without_a_digit_is_reported_and_refuses_once_a_floor_is_set() -> None:
    content = changed(GOOD, "non_digits", {kind: {"share": 0.0} for kind in KINDS})
    assert failing(content) == []
    strict = PARAMS.model_copy(update={"non_digits": 0.3})
    (rule,) = [rule for rule in decide(content, strict).rules if not rule.passed]
    assert rule.rule == "non_digits" and "0.0% of the pictures without a digit refused" in rule.reason
    assert decide(GOOD, strict).passed


def test_figures_that_contradict_each_other_refuse() -> None:
    assert failing(changed(GOOD, "correct", 9000)) == ["accuracy", "accuracy_lower_bound"]
    assert failing(changed(GOOD, "digits/4/correct", 5000)) == ["every_digit"]


def test_a_digit_without_test_images_refuses() -> None:
    assert failing(changed(GOOD, "digits/4", {"n": 0, "correct": 0})) == ["every_digit"]


@pytest.mark.parametrize("content", [{}, {"dataset": None}, {"digits": [], "slices": 3, "corruptions": "x"}])
def test_nonsense_is_refused_without_a_crash(content: dict[str, Any]) -> None:
    assert "accuracy" in failing(content)
