"""What to answer and what to withhold: the threshold, the curve, what is promised."""

import numpy as np
import pytest

from digits.evaluate import selective
from digits.evaluate.metrics import confidence
from digits.evaluate.selective import abstention, guaranteed_precision, risk_coverage, threshold_for
from digits.wire import NEVER


def answers(sure, wrong):
    """Logits whose confidences are these, and labels that make the given rows wrong."""
    rest = (1 - np.array(sure)) / 9
    logits = np.log(np.tile(rest[:, None], (1, 10)))
    logits[:, 3] = np.log(sure)
    labels = np.full(len(sure), 3, np.uint8)
    labels[wrong] = 7
    return logits, labels


def inked(logits):
    return np.ones(len(logits), bool)


TEN = [0.99, 0.98, 0.97, 0.96, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5]


@pytest.mark.parametrize(
    ("sure", "wrong", "precision", "answered"),
    [
        (TEN, [], 1.0, 10),
        (TEN, [9], 1.0, 9),
        (TEN, [9], 0.9, 10),
        (TEN, [4], 1.0, 4),
        (TEN, [4], 0.85, 10),
        (TEN, [4, 9], 0.85, 9),
        (TEN, [0], 0.95, 0),  # no threshold is enough
        ([0.95, 0.9, 0.9, 0.9], [2], 1.0, 1),  # equal ones are answered together or not at all
    ],
)
def test_the_threshold_answers_as_many_as_the_precision_allows(sure, wrong, precision, answered):
    logits, labels = answers(sure, wrong)
    threshold = threshold_for(logits, labels, 1.0, precision)
    given = selective.accepted(logits, inked(logits), 1.0, threshold)
    assert given.sum() == answered and given[:answered].all()
    assert (threshold == NEVER) == (answered == 0)
    if not answered:
        told, _ = abstention(logits, labels, inked(logits), 1.0, precision, threshold)
        assert np.isnan(told["precision"])


def test_thresholds_have_six_digits_and_still_answer_the_image_that_they_were_chosen_by():
    logits = np.random.default_rng(2).normal(0, 3, (500, 10))
    labels = logits.argmax(axis=1).astype(np.uint8)
    labels[confidence(logits, 1.3) < 0.6] = 0
    threshold = threshold_for(logits, labels, 1.3, 0.99)
    assert threshold == round(threshold, 6)
    sure = confidence(logits, 1.3)
    assert threshold <= sure[sure >= threshold].min() < threshold + 2e-6


def test_the_curve_goes_from_the_surest_to_all():
    logits, labels = answers([0.5, 0.99, 0.7, 0.9], [0])
    curve = risk_coverage(logits, labels, 1.0)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == [0, 0, 0, 0.25]
    assert (np.diff(curve.threshold) < 0).all()
    assert curve.aurc == pytest.approx(0.25 / 4)
    assert curve.at_precision(1.0) == (pytest.approx(0.7, abs=2e-6), 0.75)


def test_what_is_reported_is_of_the_images_given_and_not_of_those_that_fitted():
    logits, labels = answers(TEN, [1, 9])
    told, _ = abstention(logits, labels, inked(logits), 1.0, 0.9995, 0.75)
    assert (told["n"], told["answered"], told["correct"]) == (10, 7, 6)
    assert (told["coverage"], told["precision"]) == (0.7, pytest.approx(6 / 7))
    assert told["precision_interval"][0] < 6 / 7 < told["precision_interval"][1]
    assert told["precision_guaranteed"] < 6 / 7
    assert told["target"] == 0.9995 and told["threshold"] == 0.75
    assert set(told["curve"]) == {"0.998", "0.999", "0.9995", "0.9999"}


def test_the_guarantee_is_exact_and_holds_as_often_as_it_says():
    """Without a mistake the bound is δ^(1/n): the text of the module quotes it for 5,001."""
    assert guaranteed_precision(5001, 5001) == pytest.approx(0.05 ** (1 / 5001))
    assert guaranteed_precision(0, 0) == guaranteed_precision(0, 9) == 0
    right = np.random.default_rng(5).binomial(400, 0.97, size=2000)
    broken = np.mean([guaranteed_precision(int(r), 400) > 0.97 for r in right])
    assert 0.02 < broken <= 0.055


def test_refusals_are_counted_by_kind_and_what_has_no_ink_is_never_answered_however_sure():
    logits, labels = answers([0.99, 0.98, 0.97, 0.5], [])
    some = np.array([True, False, True, True])
    non_digits = {"letters": (logits, some), "none": (logits[:0], some[:0])}
    table = selective.refusal_table(non_digits, 1.0, 0.55)
    assert (table["letters"]["n"], table["letters"]["refused"], table["letters"]["share"]) == (4, 2, 0.5)
    assert table["none"]["n"] == 0 and np.isnan(table["none"]["share"])
    assert selective.accepted(logits, some, 1.0, 0.0).tolist() == some.tolist()
    assert abstention(logits, labels, some, 1.0, 0.9995, 0.9)[0]["answered"] == 2
