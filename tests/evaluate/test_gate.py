import copy
import json
import math
from pathlib import Path

import pytest

from digits.evaluate.corruptions import CORRUPTIONS
from digits.evaluate.gate import RULES, decide
from digits.evaluate.line_sets import WITHOUT
from digits.evaluate.metrics import wilson
from digits.non_digits import KINDS
from digits.runtime import params

FLOORS = {  # of the line reader; params.yaml's follow its trainings
    "lines_exact": {"mnist": 0.5, "mnist-sample-5k": 0.3},
    "lines_clean": {"mnist": 0.8, "mnist-sample-5k": 0.6},
    "lines_precision": {"mnist": 0.98, "mnist-sample-5k": 0.95},
    "lines_without_digits": {"mnist": 0.9, "mnist-sample-5k": 0.8},
}
PARAMS = params.load("evaluate", Path(__file__).parents[2] / "params.yaml").model_copy(update=FLOORS)


def metrics(correct, n, dataset, wrong=None):
    """Figures of a good model; `wrong` says of which digits the mistakes are, else they are spread evenly."""
    mistakes = wrong or {str(d): (n - correct + d) // 10 for d in range(10)}
    digits = {str(d): {"n": n // 10, "correct": n // 10 - mistakes.get(str(d), 0)} for d in range(10)}
    return {
        "dataset": dataset, "n_test": n, "correct": correct, "accuracy": correct / n, "ece": 0.004,
        "digits": digits, "corruptions": dict.fromkeys(CORRUPTIONS, 0.95), "slices": {},
        "non_digits": {kind: {"share": 0.5} for kind in KINDS}, "not_finite": 0,
        "lines": {
            "kinds": {kind: {"n": 300, "correct": 280} for kind in ("clean", "mixed")},
            "accepted": {"n": 1000, "correct": 996},
            "without_digits": {kind: {"share": 0.95} for kind in WITHOUT},
        },
    }  # fmt: skip


GOOD = metrics(9955, 10_000, "mnist")
SAMPLE = metrics(990, 1000, "mnist-sample-5k")
LINE_RULES = ("lines_exact", "lines_clean", "lines_precision", "lines_without_digits")
TWENTY = {"n": 20, "correct": 20}


def changed(base, path, *value):
    """The figures with another value at a path, or with none."""
    tree = part = copy.deepcopy(base)
    *parents, last = path.split("/")
    for key in parents:
        part = part[key]
    if value:
        (part[last],) = value
    else:
        del part[last]
    return tree


def failing(content):
    verdict = decide(content, PARAMS)
    failed = [rule.rule for rule in verdict.rules if not rule.passed]
    assert verdict.passed == (not failed)
    assert len(verdict.rules) == len(RULES) and all(rule.reason for rule in verdict.rules)
    return failed


def outcome(name, content, section=PARAMS):
    (found,) = [rule for rule in decide(content, section).rules if rule.rule == name]
    return found


@pytest.mark.parametrize(
    ("content", "rules"),
    [
        (GOOD, []),
        (SAMPLE, []),
        (metrics(9799, 10_000, "mnist"), ["accuracy", "accuracy_lower_bound"]),
        (metrics(9800, 10_000, "mnist"), ["accuracy_lower_bound"]),  # could be luck
        (metrics(9810, 10_000, "mnist"), ["accuracy_lower_bound"]),
        (metrics(9830, 10_000, "mnist"), []),
        (metrics(979, 1000, "mnist-sample-5k"), ["accuracy", "accuracy_lower_bound"]),
        (metrics(983, 1000, "mnist-sample-5k"), []),  # a wide interval alone refuses nothing
        (metrics(9955, 9999, "mnist"), ["test_images"]),
        (metrics(995, 1000, "mnist"), ["test_images"]),
        (metrics(9955, 10_000, "fashion"), ["test_images", *LINE_RULES]),
        (metrics(10_000, 10_000, "mnist"), ["not_perfect"]),
        (metrics(1000, 1000, "mnist-sample-5k"), []),  # a thousand may all be right
        (metrics(9870, 10_000, "mnist", {"8": 130}), ["every_digit"]),  # one digit collapsed
        (metrics(992, 1000, "mnist-sample-5k", {"3": 8}), []),  # 92 of 100: within chance of the floor
        (metrics(985, 1000, "mnist-sample-5k", {"3": 15}), ["every_digit"]),
        (changed(GOOD, "not_finite", 1), ["finite_answers"]),
        (changed(GOOD, "ece", 0.08), ["calibration_error"]),
        (changed(GOOD, "corruptions", dict.fromkeys(CORRUPTIONS, 0.8)), ["corruption_mean"]),
        (changed(GOOD, "corruptions/inverted", 0.1), ["corruption_worst"]),
        (changed(GOOD, "slices", {"scans": {"n": 200, "correct": 190}}), []),
        (changed(GOOD, "slices", {"scans": {"n": 20, "correct": 17}}), []),  # few images: within chance
        (changed(GOOD, "slices", {"scans": {"n": 1, "correct": 1}}), []),
        (changed(GOOD, "slices", {"a": TWENTY, "b": {"n": 200, "correct": 160}}), ["new_batches"]),
        (changed(GOOD, "correct", 9000), ["accuracy", "accuracy_lower_bound"]),  # a contradiction
        (changed(GOOD, "accuracy", GOOD["accuracy"] - 8e-6), []),  # rounding
        (changed(GOOD, "accuracy", GOOD["accuracy"] + 8e-6), []),
        (changed(GOOD, "accuracy", GOOD["accuracy"] - 16e-6), ["accuracy"]),
        (changed(GOOD, "accuracy", GOOD["accuracy"] + 16e-6), ["accuracy"]),
        (changed(GOOD, "digits/4/correct", 5000), ["every_digit"]),
        (changed(GOOD, "digits/4", {"n": 0, "correct": 0}), ["every_digit"]),
        (changed(GOOD, "digits/3", "n and correct"), ["every_digit"]),
        (changed(GOOD, "lines/kinds/mixed/correct", 135), []),  # 45 %: within chance of the floor
        (changed(GOOD, "lines/kinds/mixed/correct", 120), ["lines_exact"]),
        (changed(SAMPLE, "lines/kinds/mixed/correct", 120), []),
        (changed(SAMPLE, "lines/kinds/mixed/correct", 60), ["lines_exact"]),
        (changed(GOOD, "lines/kinds/clean/correct", 210), ["lines_clean"]),
        (changed(GOOD, "lines/accepted/correct", 973), []),
        (changed(GOOD, "lines/accepted/correct", 950), ["lines_precision"]),
        (changed(GOOD, "lines/accepted", {"n": 0, "correct": 0}), ["lines_precision"]),
        (changed(GOOD, "lines/accepted", {"n": 5, "correct": 6}), ["lines_precision"]),
        (changed(GOOD, "lines/without_digits/letters/share", 0.5), ["lines_without_digits"]),
        (changed(SAMPLE, "lines/without_digits/letters/share", 0.5), []),
    ],
)
def test_each_rule_refuses_what_it_is_for_and_nothing_else(content, rules):
    assert failing(content) == rules


LIMITS = {"accuracy_lower_bound": "lower_bound", "every_digit": "digit", "new_batches": "new_batch"}
OWN = ("accuracy", "corruption_mean", "corruption_worst", "calibration_error", "non_digits", *LINE_RULES)


@pytest.mark.parametrize(("rule", "limit"), (LIMITS | {rule: rule for rule in OWN}).items())
def test_a_figure_at_its_limit_passes_and_one_beyond_it_does_not(rule, limit):
    content = changed(GOOD, "slices", {"scans": {"n": 200, "correct": 190}})
    value = outcome(rule, content).value
    assert value is not None and 0 <= value <= 1
    beyond = math.nextafter(value, 0 if rule == "calibration_error" else 1)
    for at, passed in ((value, True), (beyond, False)):
        given = {"mnist": at, "other": 0.0} if rule in LINE_RULES else at  # of the data set
        found = outcome(rule, content, PARAMS.model_copy(update={limit: given}))
        assert (found.passed, found.threshold) == (passed, at)
    if rule in LINE_RULES:
        found = outcome(rule, GOOD, PARAMS.model_copy(update={rule: {"other": 0.0}}))
        assert not found.passed
        assert f"evaluate.{rule} in params.yaml gives no floor for 'mnist'" in found.reason


def test_a_line_reader_that_accepts_nothing_is_let_pass_by_a_floor_of_0_alone():
    content = changed(GOOD, "lines/accepted", {"n": 0, "correct": 0})
    found = outcome("lines_precision", content)
    assert (found.passed, found.value, found.threshold) == (False, 0.0, 0.98)
    assert "no line is accepted" in found.reason and "98.0%" in found.reason
    for floor in (0.0, 1e-9):
        section = PARAMS.model_copy(update={"lines_precision": {"mnist": floor}})
        assert outcome("lines_precision", content, section).passed == (floor == 0)


def test_figures_are_told_and_what_they_are_held_against_where_params_have_no_limit():
    lines = changed(GOOD, "lines/without_digits/letters/share", 0.25)
    shown = {rule: outcome(rule, lines) for rule in RULES}
    held = [(shown[name].value, shown[name].threshold) for name in ("not_perfect", "finite_answers")]
    assert held == [(0.9955, 1.0), (0, 0)]
    assert (shown["new_batches"].value, shown["new_batches"].threshold) == (1.0, PARAMS.new_batch)
    assert outcome("not_perfect", metrics(10_000, 10_000, "mnist")).threshold == 1.0
    assert shown["lines_without_digits"].value == pytest.approx((6 * 0.95 + 0.25) / 7)
    assert shown["lines_exact"].value == shown["lines_clean"].value == wilson(280, 300)[1]
    assert shown["lines_precision"].value == wilson(996, 1000)[1]
    assert shown["lines_exact"].reason.startswith("mixed lines at best 95.6% exact, 50.0% wanted")
    assert shown["lines_clean"].reason.startswith("clean lines at best 95.6% exact, 80.0% wanted")


def test_a_test_set_counts_as_large_from_its_very_size_on():
    at, above = (PARAMS.model_copy(update={"large_test": n}) for n in (1000, 1001))
    lucky, perfect = (metrics(correct, 1000, "mnist-sample-5k") for correct in (983, 1000))
    for rule, content in (("accuracy_lower_bound", lucky), ("not_perfect", perfect)):
        assert not outcome(rule, content, at).passed
        assert outcome(rule, content, above).passed


def test_the_verdict_is_plain_values_with_the_data_set():
    plain = decide(GOOD, PARAMS).as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain) == {"passed", "dataset", "rules"} and plain["dataset"] == "mnist"
    assert [rule["rule"] for rule in plain["rules"]] == list(RULES)
    assert decide({}, PARAMS).dataset == "unknown"


def test_collapsed_digits_are_named_with_their_rates_and_else_the_worst():
    reason = outcome("every_digit", metrics(9750, 10_000, "mnist", {"8": 130, "2": 120})).reason
    assert "digit 2 at best 89.9%, 8 at best 88.9% right" in reason and "95.0% wanted" in reason
    assert "digit 5 at best 99.8% right" in outcome("every_digit", GOOD).reason


BLUR = "corruptions/blur"
SHARES = [("accuracy", "accuracy"), ("ece", "calibration_error")]
SHARES += [(BLUR, "corruption_mean"), (BLUR, "corruption_worst")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, None, "0.99", True, [], 1.5, 98.5])
@pytest.mark.parametrize(("path", "rule"), SHARES)
def test_a_broken_share_refuses_with_its_name(path, rule, value):
    content = changed(GOOD, path, value)
    found = outcome(rule, content)
    assert not decide(content, PARAMS).passed and not found.passed
    assert path.replace("/", ".").split(".")[-1] in found.reason
    assert ("outside 0 to 1" if value in (-0.1, 1.5, 98.5) else "not a number") in found.reason
    assert found.value is None


@pytest.mark.parametrize("path", ["n_test", "correct", "not_finite", "digits/3/n", "digits/3/correct"])
def test_a_broken_count_refuses(path):
    for value in (math.nan, None, "10000", -1, True, {}):
        assert failing(changed(GOOD, path, value)) != [], value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        *((key, f"{key} is missing") for key in GOOD if key not in ("dataset", "lines")),
        ("lines", "lines.kinds.mixed.n is missing"),
        ("corruptions/spatter", "spatter is missing"),
        ("digits/7", "7.n is missing"),
        ("digits/7/correct", "7.correct is missing"),
        ("non_digits/letters", "letters.share is missing"),
        ("lines/kinds/mixed", "lines.kinds.mixed.n is missing"),
        ("lines/kinds/clean/correct", "lines.kinds.clean.correct is missing"),
        ("lines/accepted/n", "lines.accepted.n is missing"),
        *((f"lines/without_digits/{kind}", f"{kind}.share is missing") for kind in WITHOUT),
    ],
)
def test_a_missing_figure_or_part_of_a_table_refuses_with_its_place(path, said):
    rules = decide(changed(GOOD, path), PARAMS).rules
    assert any(said in rule.reason for rule in rules if not rule.passed)


def test_refusing_no_picture_without_a_digit_is_reported_and_refuses_once_a_floor_is_set():
    content = changed(GOOD, "non_digits", {kind: {"share": 0.0} for kind in KINDS})
    assert failing(content) == []
    assert outcome("non_digits", content).reason.endswith("refused, which is only reported")
    strict = PARAMS.model_copy(update={"non_digits": 0.3})
    (rule,) = [rule for rule in decide(content, strict).rules if not rule.passed]
    said = "0.0% of the pictures without a digit refused, 30.0% wanted"
    assert rule.rule == "non_digits" and rule.reason == said
    assert decide(GOOD, strict).passed
    one = outcome("non_digits", changed(content, f"non_digits/{KINDS[0]}/share", 1.0))
    assert one.value == pytest.approx(1 / len(KINDS))


def test_a_rule_of_lines_whose_floor_is_0_is_only_reported():
    off = PARAMS.model_copy(update={rule: {"mnist": 0.0} for rule in LINE_RULES})
    nothing = changed(changed(GOOD, "lines/accepted/n", 0), "lines/accepted/correct", 0)
    for content in (GOOD, nothing):
        found = [rule for rule in decide(content, off).rules if rule.rule in LINE_RULES]
        assert {(rule.passed, rule.reason.rpartition(", ")[2]) for rule in found} == {
            (True, "which is only reported")
        }


@pytest.mark.parametrize("content", [{}, {"dataset": None}, {"digits": [], "slices": 3, "corruptions": "x"}])
def test_nonsense_is_refused_without_a_crash(content):
    assert "accuracy" in failing(content)
