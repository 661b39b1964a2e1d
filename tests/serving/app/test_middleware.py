"""Hosts, origins, keys, rates, sizes and times: what a request must pass, on real sockets."""

import contextlib
import socket
import threading
import time

import pytest

from serving.app import middleware
from serving.app.middleware import ALL, Rate
from serving.app.settings import Limits
from tests.serving.app._gateway import FREE, running
from tests.serving.client import _fake

IMAGE = bytes(784)
ROUTE = "/api/predict"


@pytest.fixture(scope="module")
def fake():
    with _fake.serving() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(fake):
    with running(server=fake.grpc) as one:
        yield one


def code(answer):
    return answer[0], answer[2]["error"]["code"]


@contextlib.contextmanager
def begun(gateway, header):
    """A connection on which a prediction has been asked for, but for the body."""
    with socket.create_connection(("127.0.0.1", gateway.port), 20) as raw:
        raw.sendall(f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        yield raw


def test_other_names_than_its_own_are_not_answered_so_that_no_site_can_rebind_its_own(gateway):
    assert code(gateway.ask("GET", "/api/about", Host="evil.example")) == (403, "forbidden")
    assert gateway.ask("GET", "/api/about", Host="localhost:9999")[0] == 200
    assert gateway.ask("GET", "/api/about", Host="[::1]:80")[0] == 200


def test_another_sites_page_may_not_send_anything(gateway):
    assert code(gateway.ask("POST", ROUTE, IMAGE, Origin="https://evil.example")) == (403, "forbidden")
    assert code(gateway.ask("POST", ROUTE, IMAGE, Origin="null")) == (403, "forbidden")
    own = f"http://127.0.0.1:{gateway.port}"
    assert gateway.ask("POST", ROUTE, IMAGE, Origin=own)[0] == 200


def test_every_answer_carries_the_policy(gateway):
    for path in ("/api/about", "/healthz", "/nothing", "/static/normalize.js"):
        headers = gateway.ask("GET", path)[1]
        assert {name: headers[name.lower()] for name in ALL} == ALL
        assert "server" not in headers


def test_with_a_key_the_api_wants_it_and_the_page_stays_open(fake):
    with running(server=fake.grpc, key="correct horse battery") as gateway:
        assert code(gateway.ask("POST", ROUTE, IMAGE)) == (401, "unauthorized")
        assert code(gateway.ask("POST", ROUTE, IMAGE, Authorization="Bearer wrong")) == (401, "unauthorized")
        assert code(gateway.ask("POST", ROUTE, IMAGE, Authorization="Basic correct")) == (401, "unauthorized")
        right = "Bearer correct horse battery"
        assert gateway.ask("POST", ROUTE, IMAGE, Authorization=right)[0] == 200
        assert gateway.ask("GET", "/static/normalize.js")[0] == 200
        assert gateway.ask("GET", "/readyz")[0] == 200


def test_who_asks_too_often_is_told_when_to_come_back_and_may_then(fake):
    with running(server=fake.grpc, limits=Limits(rate=2, burst=3)) as gateway:
        assert [gateway.ask("POST", ROUTE, IMAGE)[0] for _ in range(3)] == [200] * 3
        status, headers, tree = gateway.ask("POST", ROUTE, IMAGE)
        assert (status, tree["error"]["code"], headers["retry-after"]) == (429, "too_many", "1")
        assert gateway.ask("GET", "/static/normalize.js")[0] == 200
        time.sleep(0.7)
        assert gateway.ask("POST", ROUTE, IMAGE)[0] == 200


def test_a_body_of_100_mb_is_refused_by_its_announced_size_without_reading_it(gateway):
    with begun(gateway, f"Content-Length: {100 << 20}") as raw:
        raw.sendall(bytes(1000))
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_grows_beyond_the_limit_is_refused_as_it_comes(fake):
    limits = Limits(rate=0, body=10_000)
    with (
        running(server=fake.grpc, limits=limits) as gateway,
        begun(gateway, "Transfer-Encoding: chunked") as raw,
    ):
        for _ in range(11):
            raw.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_request_that_does_not_arrive_in_time_is_ended(fake):
    limits = Limits(rate=0, seconds=0.5)
    with running(server=fake.grpc, limits=limits) as gateway, begun(gateway, "Content-Length: 784") as raw:
        raw.sendall(b"12")
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


def test_more_requests_at_once_than_it_bears_are_told_to_come_back(fake):
    with running(server=fake.grpc, limits=Limits(rate=0, concurrent=1)) as gateway:
        fake.stuck.clear()
        first = threading.Thread(target=gateway.ask, args=["POST", ROUTE, IMAGE])
        first.start()
        try:
            assert fake.arrived.wait(20)
            time.sleep(0.2)
            status, headers, tree = gateway.ask("POST", ROUTE, IMAGE)
            assert (status, tree["error"]["code"], headers["retry-after"]) == (503, "busy", "1")
        finally:
            fake.stuck.set()
            first.join()
        assert gateway.ask("POST", ROUTE, IMAGE)[0] == 200


def test_a_visitor_who_leaves_costs_the_others_nothing(gateway, fake):
    fake.stuck.clear()
    with begun(gateway, "Content-Length: 784") as raw:
        raw.sendall(IMAGE)
        time.sleep(0.2)
    fake.stuck.set()
    assert gateway.ask("POST", ROUTE, IMAGE)[0] == 200


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/static/../settings.py", "/edge/3/tfjs/model.json", "/x" * 900]
)
def test_what_is_not_there_is_said_in_one_line(gateway, path):
    assert code(gateway.ask("GET", path)) == (404, "not_found")


def test_another_method_is_refused(gateway):
    assert code(gateway.ask("GET", ROUTE)) == (405, "not_allowed")


def test_limits_that_make_no_sense_are_refused():
    from digits.runtime.errors import ParamsError

    for wrong in ({"body": 10}, {"rate": -1}, {"seconds": 0}, {"readers": 0}):
        with pytest.raises(ParamsError):
            Limits(**wrong)
    assert FREE.rate == 0


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
