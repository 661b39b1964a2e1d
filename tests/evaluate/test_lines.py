import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from digits.evaluate.lines import Fit, LineAnswers, fit, score_lines
from digits.line_model.lines import SEPARATOR
from digits.wire import NEVER


def answers(said, truth, log_likelihood=None, complete=True, not_finite=0):
    n = len(said)
    likelihood = np.zeros(n) if log_likelihood is None else np.array(log_likelihood, float)
    return LineAnswers(said, truth, likelihood, np.full(n, complete), not_finite)


def drawn(n, slope, offset, seed=1):
    """Answers that are right as often as such a fit says."""
    rng = np.random.default_rng(seed)
    x = -rng.exponential(2, n)
    right = rng.random(n) < 1 / (1 + np.exp(-slope * x - offset))
    return answers([[1]] * n, [[1] if ok else [2] for ok in right], x)


def test_a_line_is_right_by_its_digits_and_answerable_with_one():
    said = [[1, SEPARATOR, 5], [1, 5], [], [SEPARATOR], [], [7]]
    truth = [[1, 5], [5, 1], [], [], [3], []]
    lines = answers(said, truth)
    assert lines.right.tolist() == [True, False, True, True, False, False]
    assert lines.answerable.tolist() == [True, True, False, False, False, True]
    assert not answers(said, truth, complete=False).answerable.any()


def test_the_fit_is_logistic_regression():
    lines = drawn(4000, 1.3, 2.0)
    found = fit(lines, 0.9)
    best = LogisticRegression(C=1e6).fit(lines.log_likelihood[:, None], lines.right)
    assert found.slope == pytest.approx(best.coef_[0, 0], abs=0.01)
    assert found.offset == pytest.approx(best.intercept_[0], abs=0.01)
    assert (found.slope, found.offset) == (round(found.slope, 6), round(found.offset, 6))


def test_lines_without_an_answer_change_no_fit():
    lines = drawn(500, 1.0, 1.0)
    silent = answers([[]] * 50, [[]] * 50, [-40.0] * 50)
    cut = answers([[1]] * 50, [[2]] * 50, [-1e9] * 50, complete=False)
    assert fit(LineAnswers.joined([silent, lines, cut]), 0.9) == fit(lines, 0.9)


def test_all_right_or_all_wrong_has_a_finite_fit():
    for truth, above in ([1], True), ([2], False):
        found = fit(answers([[1]] * 20, [truth] * 20, np.linspace(-5, -0.1, 20)), 0.995)
        assert np.isfinite([found.slope, found.offset]).all()
        assert (found.confidence(answers([[1]], [[1]], [-0.1]))[0] > 0.5) == above
        assert (found.threshold < NEVER) == above


def test_the_surer_the_answer_the_higher_its_confidence_even_where_wrong_ones_are_surer():
    lines = drawn(400, 1.0, 1.0)
    upside = answers([[1]] * 400, [[2] if ok else [1] for ok in lines.right], lines.log_likelihood)
    assert fit(upside, 0.9).slope == 0


def test_nothing_answerable_or_nothing_right_accepts_nothing():
    found = fit(answers([[], []], [[1], []]), 0.995)
    assert found.threshold == NEVER
    assert not found.accepted(answers([[1]], [[1]], [0.0])).any()
    wrong = answers([[1]] * 5, [[2]] * 5, [-1.0] * 5)
    _, content = score_lines(wrong, {"mixed": wrong}, {"empty": wrong}, {}, 0.995)
    assert content["accepted"]["n"] == 0 and np.isnan(content["accepted"]["precision"])
    assert content["accepted"]["coverage_at_999"] == 0


def test_the_threshold_accepts_the_most_of_which_enough_are_right():
    x = np.linspace(0, -10, 1000)
    wrong = np.isin(np.arange(1000), [150, 420, *range(500, 504), *range(700, 1000)])
    lines = answers([[1]] * 1000, [[2] if bad else [1] for bad in wrong], x)
    found = fit(lines, 0.995)
    given = found.accepted(lines)
    assert given.sum() == 500 and given[:500].all() and wrong[given].sum() == 2  # 2 of 500, 3 of 501


def test_a_confidence_at_the_threshold_is_accepted():
    line = answers([[1]], [[1]], [0.0])
    assert Fit(1.0, 0.0, 0.5).accepted(line).all() and not Fit(1.0, 0.0, 0.500001).accepted(line).any()
    assert not Fit(1.0, 0.0, 0.0).accepted(answers([[SEPARATOR]], [[1]])).any()


def test_kinds_and_held_out_lines_are_scored_apart_and_the_accepted_of_all_kinds_together():
    known = answers([[1]] * 400, [[1]] * 200 + [[2]] * 200, [-0.3] * 200 + [-9.0] * 200)
    said, truth = [[1, SEPARATOR, 2], [3, 3], [], [5]], [[1, 2], [3], [4], [5]]
    composed = {
        "clean": answers([[1, 2], [3], [4], [5]], [[1, 2], [3], [4], [9]], [-0.1, -0.2, -9, -9.5]),
        "mixed": answers(said, truth, [-0.1, -0.1, -1, -0.2], not_finite=1),
    }
    silent = {
        "letters": answers([[], [7], [7], [SEPARATOR]], [[]] * 4, [-0.1, -0.1, -9, 0], not_finite=2),
        "empty": answers([[], []], [[], []], [0.0, 0.0]),
    }
    held_out = {"cheques": answers([[1], [2], [4]], [[1], [2], [3]], [-0.1, -9, -9], not_finite=1)}
    found, content = score_lines(known, composed, silent, held_out, 0.995)
    clean, mixed = content["kinds"]["clean"], content["kinds"]["mixed"]
    assert (clean["n"], clean["correct"], clean["exact"]) == (4, 3, 0.75)
    assert clean["interval"][0] < 0.75 < clean["interval"][1]
    assert clean["character_error_rate"] == pytest.approx(1 / 5)
    assert (clean["coverage"], clean["precision"]) == (0.5, 1.0)
    assert (mixed["correct"], mixed["coverage"]) == (2, 0.75)
    assert mixed["character_error_rate"] == pytest.approx(3 / 5)  # a separator, a 3 and a missing 4
    assert mixed["precision"] == pytest.approx(2 / 3)
    given = content["accepted"]
    assert (given["lines"], given["n"], given["correct"]) == (8, 5, 4)
    assert (given["coverage"], given["precision"]) == (5 / 8, 0.8)
    assert given["coverage_at_999"] == 0, "the wrong answer is one of the surest"
    assert 0 < given["calibration_error"] < 0.5
    assert content["fit"] == vars(found) | {"target": 0.995}
    assert content["not_finite"] == 4
    letters = content["without_digits"]["letters"]
    assert (letters["n"], letters["refused"], letters["share"]) == (4, 3, 0.75)
    assert content["without_digits"]["empty"]["share"] == 1
    cheques = content["slices"]["cheques"]
    assert (cheques["n"], cheques["correct"], cheques["precision"]) == (3, 2, 1.0)
    assert cheques["interval"][0] < 2 / 3 < cheques["interval"][1]
