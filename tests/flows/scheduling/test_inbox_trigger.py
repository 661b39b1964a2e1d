"""When batches in the inbox want a run: once, and again only after a pause while nothing takes them."""

from uuid import uuid4

from flows.scheduling import inbox_trigger
from flows.scheduling.inbox_trigger import FIRST, LONGEST, Inbox, Tries

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


def test_a_batch_that_a_run_took_while_it_was_asked_about_starts_no_second_run(tmp_path, monkeypatch):
    (tmp_path / "monday").mkdir()
    started = []

    def ends(*asked):
        (tmp_path / "monday").rmdir()
        return False

    monkeypatch.setattr(inbox_trigger, "is_busy", ends)
    monkeypatch.setattr(inbox_trigger, "start_run", lambda *call: started.append(call))
    inbox = Inbox(tmp_path, uuid4(), lambda folder: sorted(folder.iterdir()))
    assert inbox.tick(None) is None and not started
