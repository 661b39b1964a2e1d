"""Deadlines and pauses to the second, on a clock of the test's own: no socket, no waiting."""

import pytest

from digits_client import DeadlineExceeded, Unavailable
from digits_client.calls import Session
from digits_client.effects import Message, Reply, Send, Wait
from digits_client.options import check


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def ask(replies, *, takes=0.0, **options):
    """Drive one exchange, each reply of which takes so many seconds. Gives the effects and the outcome."""
    import dataclasses

    clock = Clock()
    _, settings = check("localhost", "rest", **options)
    plan = Session(dataclasses.replace(settings, clock=clock)).ask(Message("/", b""))
    effects, got, replies = [], None, list(replies)
    try:
        while True:
            effect = plan.send(got)
            effects.append(effect)
            if isinstance(effect, Send):
                clock.now += takes
                got = replies.pop(0)
            else:
                clock.now += effect.seconds
                got = None
    except StopIteration as done:
        return effects, done.value
    except Exception as error:
        return effects, error


BUSY = Reply("UNAVAILABLE", text="full")


def test_pauses_double_and_vary_by_up_to_half():
    for _ in range(20):
        effects, error = ask([BUSY] * 9)
        pauses = [effect.seconds for effect in effects if isinstance(effect, Wait)]
        assert isinstance(error, Unavailable)
        assert len(pauses) == 3
        for pause, longest in zip(pauses, (0.2, 0.4, 0.8), strict=True):
            assert longest / 2 <= pause <= longest


def test_each_attempt_has_what_is_left_of_the_time():
    effects, answer = ask([BUSY, BUSY, Reply("OK", b"yes")], takes=2, timeout=10)
    assert answer == b"yes"
    passed = 0.0
    for effect in effects:
        if isinstance(effect, Send):
            assert effect.seconds == pytest.approx(10 - passed)
            passed += 2
        else:
            passed += effect.seconds


def test_no_pause_reaches_past_the_deadline():
    effects, error = ask([BUSY] * 9, takes=0.9, timeout=1)
    assert isinstance(error, Unavailable)  # what is wrong, rather than that the time is up
    assert effects[1:] == []


def test_what_takes_all_the_time_is_not_asked_again():
    effects, error = ask([Reply("DEADLINE_EXCEEDED")] * 9, takes=10)
    assert isinstance(error, DeadlineExceeded)
    assert len(effects) == 1
