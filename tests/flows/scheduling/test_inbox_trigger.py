"""When batches in the inbox want a run: once, and again only after a pause while nothing takes them."""

from flows.scheduling.inbox_trigger import FIRST, LONGEST, Tries

A, B = ("a", 1), ("b", 1)


def test_a_batch_has_one_run():
    tries = Tries()
    assert tries.due(frozenset([A]), 0.0)
    assert not tries.due(frozenset([A]), 1.0)


def test_a_batch_that_came_later_has_its_run_at_once():
    tries = Tries()
    assert tries.due(frozenset([A]), 0.0)
    assert tries.due(frozenset([A, B]), 1.0)


def test_a_batch_that_was_changed_has_another_run():
    tries = Tries()
    assert tries.due(frozenset([A]), 0.0)
    assert tries.due(frozenset([("a", 2)]), 1.0)


def test_a_batch_that_runs_leave_behind_is_tried_ever_more_rarely():
    tries, now, pauses = Tries(), 0.0, []
    assert tries.due(frozenset([A]), now)
    for _ in range(12):
        before = now
        while not tries.due(frozenset([A]), now):
            now += 1.0
        pauses.append(now - before)
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses == sorted(pauses) and pauses[-1] == LONGEST


def test_what_is_left_of_a_set_is_no_news():
    tries = Tries()
    assert tries.due(frozenset([A, B]), 0.0)
    assert not tries.due(frozenset([B]), 1.0)


def test_an_empty_inbox_wants_nothing_and_forgets():
    tries = Tries()
    assert not tries.due(frozenset(), 0.0)
    assert tries.due(frozenset([A]), 1.0)
    assert not tries.due(frozenset(), 2.0)
    assert tries.due(frozenset([A]), 3.0)
