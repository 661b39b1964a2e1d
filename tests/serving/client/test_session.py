"""Deadlines and pauses to the second, on a clock of the test's own: no socket, no waiting."""

import dataclasses

import pytest

from digits_client import Unavailable
from digits_client.calls import Session
from digits_client.effects import Message, Reply, Send, Wait
from digits_client.options import check


def ask(replies, *, takes=0.0, **options):
    """Drive one exchange, each reply of which takes so many seconds. Gives the effects and the outcome."""
    now, effects, got = 1000.0, [], None
    _, settings = check("localhost", "rest", **options)
    plan = Session(dataclasses.replace(settings, clock=lambda: now)).ask(Message("/", b""))
    try:
        while True:
            effects.append(plan.send(got))
            sends = isinstance(effects[-1], Send)
            now += takes if sends else effects[-1].seconds
            got = replies.pop(0) if sends else None
    except StopIteration as done:
        return effects, done.value
    except Unavailable as error:
        return effects, error


BUSY = Reply("UNAVAILABLE", text="full")


def test_pauses_double_and_vary_by_up_to_half():
    for _ in range(20):
        effects, error = ask([BUSY] * 9)
        pauses = [effect.seconds for effect in effects if isinstance(effect, Wait)]
        assert isinstance(error, Unavailable)
        for pause, longest in zip(pauses, (0.2, 0.4, 0.8), strict=True):
            assert longest / 2 <= pause <= longest


def test_each_attempt_has_what_is_left_of_the_time_and_no_pause_reaches_past_the_deadline():
    effects, answer = ask([BUSY, BUSY, Reply("OK", b"yes")], takes=2, timeout=10)
    assert answer == b"yes"
    passed = 0.0
    for effect in effects:
        if isinstance(effect, Send):
            assert effect.seconds == pytest.approx(10 - passed)
        passed += 2 if isinstance(effect, Send) else effect.seconds
    effects, error = ask([BUSY] * 9, takes=0.9, timeout=1)
    assert isinstance(error, Unavailable)  # what is wrong, rather than that the time is up
    assert effects[1:] == []
