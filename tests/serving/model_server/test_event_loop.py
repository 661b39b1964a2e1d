import threading
import time

import pytest

from digits_model_server import event_loop
from digits_model_server.event_loop import TRIES, EventLoopServer
from digits_model_server.status import UNAVAILABLE, Status


async def where(seconds=0.0):
    time.sleep(seconds)
    return threading.current_thread().name


def test_what_is_quick_is_answered_by_the_loop_itself_once_that_is_known(loop):
    places = [loop.ask("quick", where).result() for _ in range(TRIES + 3)]
    assert all(place.startswith("looped_") for place in places[:TRIES])
    assert places[TRIES:] == ["looped"] * 3


def test_what_is_slow_never_holds_the_loop_up_and_what_becomes_slow_only_once(loop):
    places = [loop.ask("slow", where, 0.01).result() for _ in range(TRIES + 3)]
    assert all(place.startswith("looped_") for place in places)
    for _ in range(TRIES + 1):
        loop.ask("mixed", where).result()
    assert loop.ask("mixed", where, 0.05).result() == "looped"
    assert loop.ask("mixed", where, 0.05).result().startswith("looped_")


def test_many_at_once_are_found_to_be_quick_too(loop):
    """Requests that wait for a thread are not slow: else a server under load would never learn."""
    flood = [loop.ask("flood", where, 0.0005) for _ in range(200)]
    for each in flood:
        each.result()
    assert loop.ask("flood", where).result() == "looped"


def test_made_up_kinds_take_no_memory_without_end(loop, monkeypatch):
    monkeypatch.setattr(event_loop, "KINDS", 10)
    for number in range(25):
        loop.ask(number, where).result()
    assert len(loop._paces) <= 10


def test_a_port_that_does_not_open_is_told_to_who_starts():
    class Shut(EventLoopServer):
        async def serve(self):
            raise Status(UNAVAILABLE, "taken")

    with pytest.raises(Status, match="taken"):
        Shut("shut", 1).start()
