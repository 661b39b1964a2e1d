import json
import math

import numpy as np
import pytest

from flows.rollout.analysis import Answer, Responses, excess_probability, judge


def answer(digits, seconds=0.001, error="", probabilities=None):
    digits = np.atleast_1d(np.asarray(digits, np.int64))
    if error:
        return Answer(np.zeros(0, np.int64), np.zeros((0, 10)), seconds, error)
    given = np.eye(10)[digits] if probabilities is None else np.asarray(probabilities, float).reshape(-1, 10)
    return Answer(digits, given, seconds)


def singles(digits, **options):
    return tuple(answer(digit, **options) for digit in digits)


def differing(count, n=32, logged=False):
    stable = np.arange(n) % 10
    candidate = stable.copy()
    candidate[:count] = (candidate[:count] + 1) % 10
    return Responses("golden images", singles(stable), singles(candidate), logged)


def test_an_equal_candidate_passes_and_its_figures_are_plain_values():
    trial = judge([differing(0)])
    assert trial.passed and trial.reasons == ()
    assert trial.figures["golden images"]["agreement"] == 1.0
    assert json.loads(json.dumps(trial.as_dict()))["figures"]["golden images"]["images"] == 32
    rows = np.random.default_rng(5).dirichlet(np.ones(10), 200).astype(np.float32)
    answers = tuple(answer(row.argmax(), probabilities=row) for row in rows)
    assert judge([Responses("golden images", answers, answers)]).passed, "float32 sums to one, nearly"


@pytest.mark.parametrize(("count", "passed"), [(1, True), (4, True), (5, False), (32, False)])
def test_a_few_golden_images_may_be_read_otherwise_but_not_many(count, passed):
    trial = judge([differing(count)])
    assert trial.passed is passed
    if not passed:
        (reason,) = trial.reasons
        assert f"{count} of 32 digits in golden images" in reason and "97%" in reason


@pytest.mark.parametrize(("count", "n", "passed"), [(123, 1000, True), (124, 1000, False), (0, 1, True)])
def test_logged_requests_may_differ_more_since_they_are_why_there_is_a_new_model(count, n, passed):
    assert judge([differing(count, n, logged=True)]).passed is passed


@pytest.mark.parametrize(("count", "passed"), [(9, True), (16, True), (17, False), (32, False)])
def test_lines_may_be_read_otherwise_more_often_but_a_broken_reader_is_refused(count, passed):
    texts = np.array([f"{place}.50" for place in range(32)])
    other = np.where(np.arange(32) < count, "7", texts)
    columns = np.full((4, 12), 1 / 12)
    answers = ([Answer(each[i : i + 1], columns, 0.001) for i in range(32)] for each in (texts, other))
    trial = judge([Responses("golden lines", *answers, lines=True)])
    assert trial.passed is passed
    if not passed:
        assert f"{count} of 32 lines in golden lines" in trial.reasons[0] and "70%" in trial.reasons[0]


def test_a_request_that_one_of_both_fails_refuses_the_candidate():
    stable = singles(range(10))
    candidate = (*stable[:9], answer(0, error="no such signature"))
    (reason,) = judge([Responses("golden images", stable, candidate)]).reasons
    assert "failed 1 of 10 golden images" in reason and "no such signature" in reason
    (reason,) = judge([Responses("golden images", candidate, stable)]).reasons
    assert "version in service failed 1 of 10" in reason and "no such signature" in reason


@pytest.mark.parametrize(("row", "word"), [([math.nan] * 10, "not numbers"), ([0.2] * 10, "off by 1")])
def test_probabilities_that_are_none_refuse(row, word):
    stable = singles(range(10))
    candidate = (*stable[:9], answer(9, probabilities=row))
    (reason,) = judge([Responses("golden images", stable, candidate)]).reasons
    assert "1 of 10 digits in golden images do not sum to 1" in reason and word in reason


@pytest.mark.parametrize(
    ("stable", "candidate", "passed"),
    [
        (0.001, 0.0029, True),  # three times as long, but the noise of a busy machine
        (0.001, 0.0031, False),
        (0.010, 0.0199, True),
        (0.010, 0.0210, False),
        (0.010, 0.0010, True),
    ],
)
def test_latency_refuses_when_it_doubles_and_a_person_could_measure_it(stable, candidate, passed):
    digits = range(10)
    asked = Responses("golden images", singles(digits, seconds=stable), singles(digits, seconds=candidate))
    trial = judge([asked])
    assert trial.passed is passed
    assert trial.slow is not passed
    if not passed:
        assert f"{candidate * 1000:.1f} ms" in trial.reasons[0] and "allowed" in trial.reasons[0]


def test_a_candidate_that_is_wrong_too_is_not_only_slow():
    digits = np.arange(32) % 10
    asked = Responses("golden images", singles(digits), singles((digits + 1) % 10, seconds=1.0))
    trial = judge([asked])
    assert len(trial.reasons) == 2 and not trial.slow


def test_one_slow_answer_is_no_slow_model_and_too_few_requests_tell_nothing_of_latency():
    candidate = (answer(0, seconds=5.0), *singles(range(1, 10)))
    assert judge([Responses("golden images", singles(range(10)), candidate)]).passed
    trial = judge([Responses("golden batches", singles([1, 2]), singles([1, 2], seconds=9.0))])
    assert trial.passed and "candidate_ms" not in trial.figures["golden batches"]


def test_nothing_compared_or_another_number_of_answers_than_images_is_no_pass():
    for asked in ([], [Responses("golden images", (), ())]):
        assert "can't be compared" in judge(asked).reasons[0]
    trial = judge([Responses("golden batches", (answer([1, 2]),), (answer([1]),))])
    assert "a different number of answers" in trial.reasons[0]


def test_the_chance_of_differing_is_the_binomial_tail():
    exact = sum(math.comb(32, k) * 0.03**k * 0.97 ** (32 - k) for k in range(4, 33))
    assert excess_probability(4, 32, 0.03) == pytest.approx(exact)
    assert excess_probability(0, 32, 0.03) == pytest.approx(1.0)
    assert excess_probability(5000, 5000, 0.03) == 0.0
