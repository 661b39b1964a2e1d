import pytest

from digits.runtime import errors
from digits_client import BadRequest, Unavailable
from flows.reading import models
from flows.reading.models import Asking, Servers
from tests._ports import free_port


class Server:
    """A client that answers with its name, or raises."""

    def __init__(self, name):
        self.name, self.error, self.asked = name, None, 0

    def predict_lines(self, _):
        self.asked += 1
        if self.error:
            raise self.error
        return self.name


class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def balanced():
    """Servers a and b, what asks them, and its clock."""
    made, clock = [Server("a"), Server("b")], Clock()
    return *made, Servers(made, patience=30, clock=clock, sleep=clock.sleep), clock


def test_servers_are_asked_in_turn_and_a_dead_one_is_passed_over_until_it_answers_again():
    a, _, servers, clock = balanced()
    assert sorted(servers.predict_lines([]) for _ in range(10)) == ["a"] * 5 + ["b"] * 5
    a.error, a.asked = Unavailable("gone"), 0
    assert {servers.predict_lines([]) for _ in range(100)} == {"b"} and a.asked == 1
    a.error = None
    clock.now += 5
    assert {servers.predict_lines([]) for _ in range(10)} == {"a", "b"}


def test_when_none_answers_it_waits_and_then_gives_up():
    a, b, servers, clock = balanced()
    a.error = b.error = Unavailable("gone")
    with pytest.raises(Unavailable):
        servers.predict_lines([])
    assert 30 <= clock.now <= 60 and a.asked < 10
    servers.sleep = lambda seconds: (clock.sleep(seconds), setattr(b, "error", None))
    assert servers.predict_lines([]) == "b"


def test_what_a_server_refuses_another_one_is_not_asked():
    a, b, servers, _ = balanced()
    a.error = b.error = BadRequest("no lines")
    with pytest.raises(BadRequest):
        servers.predict_lines([])
    assert a.asked + b.asked == 1


def test_without_any_server_nothing_begins():
    with pytest.raises(errors.ServingError):
        models.check(Asking((f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"), timeout=1))
    with pytest.raises(errors.BadRequest, match="not an address"):
        models.check(Asking(("a b",)))
