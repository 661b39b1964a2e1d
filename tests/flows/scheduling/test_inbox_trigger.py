"""When batches in the inbox want a run: once, and again only after a pause while nothing takes them."""

from flows.scheduling.inbox_trigger import FIRST, LONGEST, Tries

A, B = ("a", 1), ("b", 1)


def due(tries, *batches, at=0.0):
    return tries.due(frozenset(batches), at)


def test_a_batch_has_one_run_and_one_that_came_later_or_was_changed_has_its_own_at_once():
    tries = Tries()
    assert due(tries, A)
    assert not due(tries, A, at=1.0)
    assert due(tries, A, B, at=2.0)
    assert not due(tries, B, at=3.0), "what is left of a set is no news"
    assert due(tries, ("b", 2), at=4.0)


def test_a_batch_that_runs_leave_behind_is_tried_ever_more_rarely():
    tries, now, pauses = Tries(), 0.0, []
    assert due(tries, A)
    for _ in range(12):
        before = now
        while not due(tries, A, at=now):
            now += 1.0
        pauses.append(now - before)
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses == sorted(pauses) and pauses[-1] == LONGEST


def test_an_empty_inbox_wants_nothing_and_forgets():
    tries = Tries()
    assert not due(tries)
    assert due(tries, A, at=1.0)
    assert not due(tries, at=2.0)
    assert due(tries, A, at=3.0)
