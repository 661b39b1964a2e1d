import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from digits.evaluate import metrics
from digits.evaluate.metrics import fit_temperature, log_softmax
from digits.runtime.errors import DataError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 10, 500).astype(np.uint8)
LOGITS = (RNG.normal(size=(500, 10)) + 3 * np.eye(10)[LABELS]).astype(np.float32)
PREDICTED = LOGITS.argmax(axis=1)
PROBABILITIES = np.exp(metrics.log_softmax(LOGITS))


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (980, 1000), (9955, 10000), (1, 2)])
def test_wilson_is_scipys(correct, n):
    interval = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert metrics.wilson(correct, n) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_rounding_takes_no_interval_out_of_0_to_1():
    ends = [metrics.wilson(correct, n) for n in range(1, 500) for correct in (0, n)]
    assert all(0 <= low < high <= 1 for low, high in ends)
    assert metrics.wilson(0, 0) == (0.0, 1.0), "nothing seen says nothing about the rate"


def test_log_loss_confusion_and_figures_per_digit_are_scikit_learns():
    expected = reference.log_loss(LABELS, PROBABILITIES, labels=range(10))
    assert metrics.log_loss(LOGITS, LABELS) == pytest.approx(expected)
    matrix = metrics.confusion(LABELS, PREDICTED)
    assert np.array_equal(matrix, reference.confusion_matrix(LABELS, PREDICTED))
    seen = metrics.per_digit(matrix)
    rows = zip(*reference.precision_recall_fscore_support(LABELS, PREDICTED), strict=True)
    for digit, expected in enumerate(rows):
        row = seen[str(digit)]
        assert [row[key] for key in ("precision", "recall", "f1", "n")] == pytest.approx(expected)
        assert row["correct"] == matrix[digit, digit]
    row = metrics.per_digit(metrics.confusion(np.array([1, 1], np.uint8), np.array([1, 2])))["7"]
    assert row["n"] == 0 and math.isnan(row["recall"]) and math.isnan(row["precision"])


def test_log_loss_of_huge_logits_is_finite_and_changes_no_other_row():
    assert metrics.log_loss(np.array([[1e4] + [0] * 9]), np.array([1], np.uint8)) == pytest.approx(1e4)
    logits = np.array([[1e4] + [0] * 9, [1.0] + [0] * 9])
    assert np.array_equal(metrics.log_softmax(logits)[1:], metrics.log_softmax(logits[1:]))


def test_most_confused_pairs_come_first_without_the_diagonal():
    matrix = np.diag([100] * 10)
    matrix[4, 9], matrix[9, 4], matrix[3, 5], matrix[0, 6] = 2, 7, 2, 1
    assert metrics.confused_pairs(matrix) == [
        {"truth": 9, "predicted": 4, "n": 7},
        {"truth": 3, "predicted": 5, "n": 2},
        {"truth": 4, "predicted": 9, "n": 2},
        {"truth": 0, "predicted": 6, "n": 1},
    ]
    assert len(metrics.confused_pairs(np.ones((10, 10), np.int64))) == 10


def sure(confidence):
    """Logits that give class 0 this probability."""
    return [math.log(confidence * 9 / (1 - confidence))] + [0.0] * 9


def test_calibration_error_by_hand():
    # 4 images at 0.9 of which 3 are right, 1 image at 0.5 that is right: (4 × 0.15 + 1 × 0.5) / 5
    logits = np.array([sure(0.9)] * 4 + [sure(0.5)])
    scores = metrics.reliability(logits, np.array([0, 0, 0, 1, 0], np.uint8), temperature=1)
    assert scores.error == pytest.approx(0.22)
    logits = np.array([[1e4] + [0.0] * 9, sure(0.95), sure(0.92)])
    scores = metrics.reliability(logits, np.zeros(3, np.uint8), temperature=1)
    assert scores.n.tolist() == [0] * 13 + [1, 2], "the last bin holds what is entirely sure"


def test_temperature_changes_the_confidence_and_not_the_accuracy():
    cold, hot = (metrics.reliability(LOGITS, LABELS, t) for t in (0.5, 2.0))
    accuracy = (PREDICTED == LABELS).sum()
    for scores in (cold, hot):
        assert np.nansum(scores.accuracy * scores.n) == pytest.approx(accuracy)
    assert np.nansum(cold.confidence * cold.n) > np.nansum(hot.confidence * hot.n)


def test_slices_score_each_batch_on_its_own():
    batches = np.array(["b"] * 3 + ["a"])
    seen = metrics.slices(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0], np.uint8), batches)
    assert list(seen) == ["a", "b"]
    assert (seen["b"]["n"], seen["b"]["correct"]) == (3, 2)
    assert seen["a"]["accuracy"] == 0 and seen["a"]["interval"] == list(metrics.wilson(0, 1))
    assert metrics.slices(np.empty(0, np.intp), np.empty(0, np.uint8), np.empty(0, "U1")) == {}


def test_the_worst_mistakes_gave_the_truth_the_least_probability_and_equal_ones_keep_their_order():
    rows = metrics.worst_mistakes(LOGITS, LABELS, limit=5)
    truth = PROBABILITIES[np.arange(500), LABELS]
    assert truth[rows].tolist() == sorted(truth[PREDICTED != LABELS])[:5]
    every = metrics.worst_mistakes(LOGITS, LABELS, limit=500)
    assert sorted(every) == np.flatnonzero(PREDICTED != LABELS).tolist()
    worse = RNG.integers(0, 2, 100)
    logits = np.array([[0.0, 1.0 + each] + [0.0] * 8 for each in worse])
    rows = metrics.worst_mistakes(logits, np.zeros(100, np.uint8), limit=100)
    assert rows.tolist() == [*np.flatnonzero(worse == 1), *np.flatnonzero(worse == 0)]


def test_rounding_makes_plain_json_and_none_of_what_json_lacks():
    tree = {"a": 1 / 3, "b": (math.nan, math.inf, 2), "c": {"d": [np.float32(1 / 3)], "e": True, "f": "x"}}
    plain = {"a": 0.333333, "b": [None, None, 2], "c": {"d": [0.333333], "e": True, "f": "x"}}
    assert metrics.round_floats(tree) == plain


def honest(n, scale):
    """Logits of a model that knows its probabilities, and labels drawn from them."""
    rng = np.random.default_rng(1)
    logits = scale * rng.normal(size=(n, 10))
    chances = np.exp(log_softmax(logits)).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > chances).sum(axis=1).clip(0, 9).astype(np.uint8)


@pytest.mark.parametrize("distortion", [0.3, 1.0, 4.0])
def test_a_model_whose_logits_were_multiplied_is_set_right(distortion):
    logits, labels = honest(20_000, scale=2.0)
    assert fit_temperature(distortion * logits, labels) == pytest.approx(distortion, rel=0.05)


def test_temperatures_stay_within_their_bounds():
    logits, labels = honest(500, scale=2.0)
    for distortion, temperature in ((0.001, 0.05), (1000.0, 20.0)):
        assert fit_temperature(distortion * logits, labels) == pytest.approx(temperature, rel=1e-3)


def test_a_small_flawless_validation_split_makes_no_model_infallible_and_an_empty_one_is_refused():
    for n in (10, 100):
        labels = np.arange(n, dtype=np.uint8) % 10
        logits = 5.0 * np.eye(10)[labels]
        doubt = 1 - np.exp(log_softmax(logits / fit_temperature(logits, labels))).max(axis=1)
        assert doubt == pytest.approx(1 / (n + 2), rel=1e-3)  # Platt's: one more mistake in n + 2
    with pytest.raises(DataError, match="validation split is empty"):
        fit_temperature(np.empty((0, 10)), np.empty(0, np.uint8))
