"""Buckets of tokens, by a clock of the test's."""

import pytest

from serving.app import middleware
from serving.app.middleware import Rate


@pytest.fixture
def clock():
    return [100.0]


def test_a_full_bucket_passes_at_once_and_then_at_the_rate(clock):
    one = Rate(2.0, 3, lambda: clock[0])
    assert [one.wait("a") for _ in range(3)] == [0, 0, 0]
    assert one.wait("a") == pytest.approx(0.5)
    clock[0] += 0.5
    assert one.wait("a") == 0
    assert one.wait("a") == pytest.approx(0.5)


def test_addresses_do_not_share(clock):
    one = Rate(1.0, 1, lambda: clock[0])
    assert (one.wait("a"), one.wait("b")) == (0, 0)
    assert one.wait("a") > 0


def test_a_bucket_holds_no_more_than_the_burst(clock):
    one = Rate(10.0, 2, lambda: clock[0])
    clock[0] += 1000
    assert [one.wait("a") == 0 for _ in range(3)] == [True, True, False]


def test_no_rate_is_no_limit(clock):
    one = Rate(0.0, 1, lambda: clock[0])
    assert not any(one.wait("a") for _ in range(1000))


def test_only_so_many_addresses_are_remembered(clock, monkeypatch):
    monkeypatch.setattr(middleware, "KNOWN", 5)
    one = Rate(1.0, 1, lambda: clock[0])
    for number in range(50):
        assert one.wait(str(number)) == 0
    assert len(one._buckets) == 5
