"""Hosts, origins, keys, rates, sizes and times: what a request must pass, on real sockets."""

import contextlib
import gzip
import json
import socket
import threading
import time

import pytest

from serving.app import middleware
from serving.app.middleware import ALL
from serving.app.settings import Limits
from serving.app.visitors import networks
from tests.flows._processes import wait_for
from tests.serving.app._gateway import running

IMAGE = bytes(784)
ROUTE = "/api/predict"


def code(answer):
    return answer[0], answer[2]["error"]["code"]


@contextlib.contextmanager
def begun(gateway, header, address="127.0.0.1"):
    """A connection on which a prediction has been asked for, but for the body."""
    with socket.create_connection(("127.0.0.1", gateway.port), 20, (address, 0)) as raw:
        raw.sendall(f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        yield raw


def test_other_names_than_its_own_and_other_sites_pages_are_not_answered(gateway):
    others = ("evil.example", "localhost:18080@evil.com", "localhost:evil.com", "localhost:80:80", "[::1")
    for host in (*others, "localhost.evil.com", "evil.com#localhost", "a" * 5000):
        assert code(gateway.ask("GET", "/api/about", Host=host)) == (403, "forbidden"), host
    for host in ("localhost:9999", "LOCALHOST", "[::1]:80", "127.0.0.1"):
        assert gateway.ask("GET", "/api/about", Host=host)[0] == 200, host
    own = f"http://127.0.0.1:{gateway.port}"
    for origin in ("https://evil.example", "null", "http://[", "http://", "127.0.0.1", f"{own}@evil.example"):
        assert code(gateway.ask("POST", ROUTE, IMAGE, Origin=origin)) == (403, "forbidden"), origin
    assert gateway.ask("POST", ROUTE, IMAGE, Origin=own)[0] == 200


def test_a_compressed_body_is_refused_with_what_is_taken(gateway):
    answer = gateway.ask("POST", ROUTE, gzip.compress(IMAGE), Content_Encoding="gzip")
    assert code(answer) == (415, "wrong_type") and "without Content-Encoding" in answer[2]["error"]["message"]
    assert gateway.ask("POST", ROUTE, IMAGE, Content_Encoding="identity")[0] == 200


@pytest.mark.parametrize("above", ["/", "/static/", "/edge/", "/edge/1/", "/api/", "/api/versions/"])
def test_whatever_an_address_holds_is_no_failure_and_a_short_line(gateway, above):
    before = len(gateway.said)
    for name in ("%00", "a" * 300, "%2e%2e/" * 200 + "etc/passwd", "%ff%fe", "a%0d%0ab", "9" * 5000, "-1"):
        status, _, tree = gateway.ask("GET", above + name)
        assert status in (400, 404) and len(str(tree)) < 300, (status, above + name)
    assert gateway.ask("X" * 200, above)[0] in (404, 405)
    assert gateway.said[before:] and all(len(json.dumps(line)) < 300 for line in gateway.said[before:])
    for path in ("/api/nothing", "/static/../settings.py", "/edge/3/tfjs/model.json", "/x" * 900):
        assert code(gateway.ask("GET", path)) == (404, "not_found")
    assert code(gateway.ask("GET", ROUTE)) == (405, "not_allowed")


def test_every_answer_carries_the_policy(gateway):
    for path in ("/api/about", "/healthz", "/nothing", "/static/normalize.js"):
        headers = gateway.ask("GET", path)[1]
        assert {name: headers[name.lower()] for name in ALL} == ALL
        assert "server" not in headers


def test_with_a_key_the_api_and_the_models_files_want_it_and_the_page_stays_open(fake):
    with running(server=fake.grpc, key="correct horse battery") as gateway:
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic correct"}):
            assert code(gateway.ask("POST", ROUTE, IMAGE, **wrong)) == (401, "unauthorized")
        assert code(gateway.ask("GET", "/edge/1/answer.json")) == (401, "unauthorized")
        right = "Bearer correct horse battery"
        assert gateway.ask("GET", "/edge/1/answer.json", Authorization=right)[0] == 404, "there is no version"
        assert gateway.ask("POST", ROUTE, IMAGE, Authorization=right)[0] == 200
        for open_to_all in ("/static/normalize.js", "/readyz"):
            assert gateway.ask("GET", open_to_all)[0] == 200


def test_who_asks_too_often_is_told_when_to_come_back_and_may_then(fake):
    with running(server=fake.grpc, limits=Limits(rate=1, burst=3)) as gateway:
        assert [gateway.ask("POST", ROUTE, IMAGE)[0] for _ in range(3)] == [200] * 3
        for _ in range(4):
            status, headers, tree = gateway.ask("POST", ROUTE, IMAGE)
            assert (status, tree["error"]["code"], headers["retry-after"]) == (429, "too_many", "1")
        (line,) = [each for each in gateway.said if "refused" in each.get("message", "")]
        assert line["message"] == "requests of 127.0.0.1 are refused: too many a second", "once, not for each"
        assert gateway.ask("GET", "/edge/1/answer.json")[0] == 429
        assert gateway.ask("GET", "/static/normalize.js")[0] == 200
        assert gateway.ask("POST", ROUTE, IMAGE, address="127.0.0.2")[0] == 200, "another visitor"
        time.sleep(1.2)
        assert gateway.ask("POST", ROUTE, IMAGE)[0] == 200


def test_behind_a_trusted_proxy_each_client_has_a_rate_and_a_line_of_its_own(fake):
    trusted, proxy = networks(["127.0.0.2/32"]), {"address": "127.0.0.2"}
    with running(server=fake.grpc, limits=Limits(rate=1, burst=2), proxies=trusted) as gateway:
        ask = lambda **who: gateway.ask("POST", ROUTE, IMAGE, **who)[0]  # noqa: E731
        first = [ask(X_Forwarded_For="192.0.2.1", **proxy) for _ in range(3)]
        forged = [ask(X_Forwarded_For=f"198.51.100.{n}, 192.0.2.1", **proxy) for n in range(2)]
        assert first + forged == [200, 200, 429, 429, 429], "what a client adds in front changes nothing"
        assert ask(X_Forwarded_For="192.0.2.2", **proxy) == 200
        others = [ask(X_Forwarded_For=f"192.0.2.{n}") for n in range(3, 6)]
        assert others == [200, 200, 429], "no proxy of ours"
        clients = {line["client"] for line in gateway.said if "client" in line}
    assert clients == {"192.0.2.1", "192.0.2.2", "127.0.0.1"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([b"621\r\n" + bytes(10)], (b"413",)),
        ([b"310\r\n" + bytes(784) + b"\r\n"] * 2 + [b"1\r\n"], (b"413",)),
        ([b"310\r\n" + bytes(500), bytes(284) + b"\r\n"] * 2 + [b"0\r\n\r\n"], (b"200",)),
    ],
    ids=["a byte too much", "too much together", "all that is allowed"],
)
def test_chunks_are_taken_up_to_the_limit_and_refused_when_one_beyond_is_announced(fake, sent, status):
    with (
        running(server=fake.grpc, limits=Limits(rate=0, body=1568)) as gateway,
        begun(gateway, "Transfer-Encoding: chunked\r\nContent-Type: application/octet-stream") as raw,
    ):
        for piece in sent:
            raw.sendall(piece)
            time.sleep(0.05)
        raw.settimeout(5)
        assert raw.recv(100)[9:12] in status


def test_bodies_that_come_slowly_keep_nobody_else_waiting_and_one_address_has_so_many(fake):
    limits = Limits(rate=0, concurrent=2, seconds=20)
    most = limits.bodies // middleware.SLOW

    def finished(raw):
        raw.sendall(b"1")
        time.sleep(0.2)
        raw.sendall(bytes(783))
        return raw.recv(100)

    with running(server=fake.grpc, limits=limits) as gateway, contextlib.ExitStack() as slow:
        under_way = gateway.state.metrics.under_way._value
        for _ in range(most):
            slow.enter_context(begun(gateway, "Content-Length: 784")).sendall(b"1")
        wait_for(lambda: under_way.get() == most)
        assert gateway.ask("POST", ROUTE, IMAGE)[0] == 200, "what comes at once does not count"
        with begun(gateway, "Content-Length: 784") as raw:
            raw.sendall(b"1")
            assert raw.recv(100).startswith(b"HTTP/1.1 503")
        with begun(gateway, "Content-Length: 784", "127.0.0.2") as raw:
            assert finished(raw).startswith(b"HTTP/1.1 415"), "it arrived, and has no type"
        slow.close()
        wait_for(lambda: not under_way.get())
        with begun(gateway, "Content-Length: 784") as raw:
            assert finished(raw).startswith(b"HTTP/1.1 415"), "served again, once the others have gone"


def test_more_requests_at_once_than_it_bears_are_told_to_come_back_half_of_them_for_one_address(fake):
    with running(server=fake.grpc, limits=Limits(rate=0, concurrent=2)) as gateway:
        fake.stuck.clear()
        found = []

        def ask(address):
            found.append(gateway.ask("POST", ROUTE, IMAGE, address=address)[0])

        visitors = [threading.Thread(target=ask, args=[address]) for address in ("127.0.0.1", "127.0.0.2")]
        try:
            for count, visitor in enumerate(visitors, 1):
                visitor.start()
                wait_for(lambda: gateway.state.metrics.under_way._value.get() == count)  # noqa: B023
                time.sleep(0.1)
                if count == 1:
                    assert code(gateway.ask("POST", ROUTE, IMAGE)) == (503, "busy")
            status, headers, tree = gateway.ask("POST", ROUTE, IMAGE, address="127.0.0.3")
            assert (status, tree["error"]["code"], headers["retry-after"]) == (503, "busy", "1")
        finally:
            fake.stuck.set()
            for visitor in visitors:
                visitor.join()
        assert found == [200, 200] and gateway.ask("POST", ROUTE, IMAGE)[0] == 200
