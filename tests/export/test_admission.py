"""What export accepts as a pass."""

import copy
import math

import pytest

from digits.export.admission import JUDGED, Fitted, admit
from digits.runtime.errors import DataError, GateRefused

METRICS = {
    "dataset": "mnist", "accuracy": 0.995, "n_test": 10000, "corruption_mean": 0.96, "ece": 0.01,
    "temperature": 0.8, "abstention": {"threshold": 0.97},
}  # fmt: skip
FINE = {"threshold": 0, "passed": True, "reason": "it is fine"}
RULES = [{"rule": rule, "value": METRICS[figure]} | FINE for rule, figure in JUDGED.items()]
VERDICT = {"passed": True, "dataset": "mnist", "rules": RULES}
MANIFEST = {"dataset": "mnist"}


def changed(tree, path, value):
    made = copy.deepcopy(tree)
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


def test_a_whole_pass_gives_temperature_and_threshold():
    assert admit(METRICS, VERDICT, MANIFEST) == Fitted(0.8, 0.97)


@pytest.mark.parametrize("value", [math.nan, None, "0.9", True, -0.1, 2.0])
def test_a_threshold_that_is_none_is_refused(value):
    with pytest.raises(DataError, match=r"threshold is .*evaluate"):
        admit(changed(METRICS, ["abstention", "threshold"], value), VERDICT, MANIFEST)


def test_metrics_of_before_there_was_a_threshold_are_refused_with_what_to_do():
    with pytest.raises(DataError, match="dvc repro --force evaluate"):
        admit({key: value for key, value in METRICS.items() if key != "abstention"}, VERDICT, MANIFEST)


def test_a_failed_verdict_is_refused_with_every_failed_rule():
    verdict = changed(changed(VERDICT, ["passed"], False), ["rules", 0, "passed"], False)
    verdict = changed(verdict, ["rules", 0, "reason"], "97.10% right, 98.00% wanted")
    with pytest.raises(GateRefused, match=r"accuracy: 97.10% right, 98.00% wanted") as refused:
        admit(METRICS, verdict, MANIFEST)
    assert "ece" not in str(refused.value)


@pytest.mark.parametrize("passed", ["true", 1, None, "no"])
def test_only_true_is_a_pass(passed):
    with pytest.raises(GateRefused):
        admit(METRICS, changed(VERDICT, ["passed"], passed), MANIFEST)


def test_a_pass_against_its_own_rules_is_damage():
    for verdict in (changed(VERDICT, ["rules", 1, "passed"], False), changed(VERDICT, ["rules"], [])):
        with pytest.raises(DataError, match="against its own rules"):
            admit(METRICS, verdict, MANIFEST)


@pytest.mark.parametrize("which", ["metrics", "verdict", "manifest"])
def test_papers_of_another_data_set_are_refused(which):
    papers = {"metrics": METRICS, "verdict": VERDICT, "manifest": MANIFEST}
    papers[which] = changed(papers[which], ["dataset"], "mnist-sample-5k")
    with pytest.raises(DataError, match=f"{which}: mnist-sample-5k"):
        admit(**papers)


@pytest.mark.parametrize("figure", sorted(JUDGED.values()))
def test_a_verdict_on_other_metrics_is_refused(figure):
    with pytest.raises(DataError, match=f"judged {figure}"):
        admit(changed(METRICS, [figure], METRICS[figure] * 0.99), VERDICT, MANIFEST)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.9", True])
@pytest.mark.parametrize("figure", ["temperature", "accuracy"])
def test_figures_that_are_no_numbers_are_refused(figure, value):
    with pytest.raises(DataError, match=f"{figure} is"):
        admit(changed(METRICS, [figure], value), VERDICT, MANIFEST)


@pytest.mark.parametrize("value", [0, -1.0, 1e9])
def test_a_temperature_out_of_reason_is_refused(value):
    with pytest.raises(DataError, match="temperature is"):
        admit(changed(METRICS, ["temperature"], value), VERDICT, MANIFEST)


@pytest.mark.parametrize("damaged", [None, [], 3, {}, {"dataset": 5}, {"passed": True}])
@pytest.mark.parametrize("which", ["metrics", "verdict", "manifest"])
def test_garbage_is_refused_in_a_line(which, damaged):
    papers = {"metrics": METRICS, "verdict": VERDICT, "manifest": MANIFEST, which: damaged}
    with pytest.raises(DataError, match=which):
        admit(**papers)


@pytest.mark.parametrize("rules", [None, {}, [1], [{"rule": "accuracy"}]])
def test_a_verdict_without_whole_rules_is_refused(rules):
    with pytest.raises(DataError, match="rules"):
        admit(METRICS, changed(VERDICT, ["rules"], rules), MANIFEST)
