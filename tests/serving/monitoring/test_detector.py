"""The sequential test: its budget of false alarms, and that it finds what it bets on."""

import numpy as np
import pytest

from serving.monitoring.detector import Detector, bets

BUDGET = 2000.0  # seconds


@pytest.mark.parametrize(("bound", "too_often"), [(0.05, True), (0.3, False), (0.0, True), (1.0, False)])
def test_at_its_bound_an_event_raises_no_more_alarms_than_the_budget_allows(bound, too_often):
    rng = np.random.default_rng(1)
    hit = rng.random((20_000, 1)) < bound
    detector = Detector(bets([bound], [too_often], [1.0]), BUDGET)
    alarms = detector.look(np.arange(20_000.0), hit, np.ones_like(hit))
    assert len(alarms) <= 20_000 / BUDGET
    assert (len(alarms) > 0) == (0 < bound < 1), "it is no detector that never speaks"


def test_more_requests_raise_no_more_alarms_in_the_same_time():
    rng = np.random.default_rng(2)
    hit = rng.random((20_000, 1)) < 0.05
    detector = Detector(bets([0.05], [True], [1.0]), BUDGET)
    assert len(detector.look(np.arange(20_000.0) / 10, hit, np.ones_like(hit))) <= 2000 / BUDGET


def test_the_event_that_changed_is_named_from_where_it_changed_on():
    rng = np.random.default_rng(3)
    hit = rng.random((1000, 3)) < 0.02
    hit[600:, 1] |= rng.random(400) < 0.3
    hit[600:, 2] = False
    seen = np.ones_like(hit)
    seen[::2, 1] = False
    detector = Detector(bets([0.06, 0.06, 0.01], [True, True, False], [0.4, 0.4, 0.2]), 1e6)
    alarm = detector.look(np.arange(1000.0), hit, seen)[0]
    assert alarm.event == 1 and 590 <= alarm.since <= 660 < alarm.row
    since = int(alarm.since)
    assert alarm.rows == seen[since : alarm.row + 1, 1].sum()
    assert alarm.hits == (hit & seen)[since : alarm.row + 1, 1].sum() > 0.2 * alarm.rows
