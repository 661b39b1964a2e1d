"""What export accepts as a pass."""

import copy
import math

import pytest

from digits.export.admission import JUDGED, Fitted, LineFit, admit
from digits.runtime.errors import DataError, GateRefused

METRICS = {
    "dataset": "mnist", "accuracy": 0.995, "n_test": 10000, "corruption_mean": 0.96, "ece": 0.01,
    "temperature": 0.8, "abstention": {"threshold": 0.97},
    "lines": {"fit": {"slope": 0.5, "offset": 3.0, "threshold": 0.9}},
}  # fmt: skip
FINE = {"threshold": 0, "passed": True, "reason": "it is fine"}
RULES = [{"rule": rule, "value": METRICS[figure]} | FINE for rule, figure in JUDGED.items()]
VERDICT = {"passed": True, "dataset": "mnist", "rules": RULES}
MANIFEST = {"dataset": "mnist"}


def changed(tree, path, value):
    place = made = copy.deepcopy(tree)
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


def test_a_whole_pass_gives_temperature_threshold_and_the_confidence_of_lines():
    assert admit(METRICS, VERDICT, MANIFEST) == Fitted(0.8, 0.97, LineFit(0.5, 3.0, 0.9))


@pytest.mark.parametrize("which", ["metrics", "verdict", "manifest"])
def test_garbage_and_papers_of_another_data_set_are_refused_in_a_line(which):
    papers = {"metrics": METRICS, "verdict": VERDICT, "manifest": MANIFEST}
    other = changed(papers[which], ["dataset"], "mnist-sample-5k")
    with pytest.raises(DataError, match=f"{which}: mnist-sample-5k"):
        admit(**papers | {which: other})
    for damaged in (None, [], 3, {}, {"dataset": 5}, {"passed": True}):
        with pytest.raises(DataError, match=which):
            admit(**papers | {which: damaged})


@pytest.mark.parametrize(
    ("path", "values", "says"),
    [
        (["abstention", "threshold"], [math.nan, None, "0.9", True, -0.1, 2.0], r"threshold is .*evaluate"),
        (["abstention"], [None], "dvc repro --force evaluate"),  # metrics of before there was one
        (["lines"], [None], "dvc repro --force evaluate"),  # of before there were lines
        (["lines", "fit", "threshold"], [math.nan, None, "0.9", True, -0.1, 2.0], r"threshold is .*evaluate"),
        (["lines", "fit", "slope"], [-1.0, None], r"lines.fit.slope is .*evaluate"),
        (["lines", "fit", "offset"], [math.nan], r"lines.fit.offset is .*evaluate"),
        (["temperature"], [math.nan, math.inf, None, "0.9", True, 0, -1.0, 1e9], "temperature is"),
        (["accuracy"], [math.nan, math.inf, None, "0.9", True], "accuracy is"),
        *(([figure], [METRICS[figure] * 0.99], f"judged {figure}") for figure in JUDGED.values()),
    ],
)
def test_figures_that_are_out_of_reason_or_not_those_judged_are_refused(path, values, says):
    for value in values:
        with pytest.raises(DataError, match=says):
            admit(changed(METRICS, path, value), VERDICT, MANIFEST)


def test_a_failed_verdict_is_refused_with_every_failed_rule():
    verdict = changed(changed(VERDICT, ["passed"], False), ["rules", 0, "passed"], False)
    verdict = changed(verdict, ["rules", 0, "reason"], "97.10% right, 98.00% wanted")
    with pytest.raises(GateRefused, match=r"accuracy: 97.10% right, 98.00% wanted") as refused:
        admit(METRICS, verdict, MANIFEST)
    assert "ece" not in str(refused.value)
    for passed in ("true", 1, None, "no"):
        with pytest.raises(GateRefused):
            admit(METRICS, changed(VERDICT, ["passed"], passed), MANIFEST)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["rules", 1, "passed"], False, "against its own rules"),
        (["rules"], [], "against its own rules"),
        *((["rules"], rules, "rules") for rules in (None, {}, [1], [{"rule": "accuracy"}])),
    ],
)
def test_a_pass_without_whole_rules_or_against_its_own_is_damage(path, value, says):
    with pytest.raises(DataError, match=says):
        admit(METRICS, changed(VERDICT, path, value), MANIFEST)
