"""How many connections the gateway has, for how long, and what it says of the others."""

import contextlib
import functools
import re
import socket
import ssl
import time

import pytest

from serving.app import connections
from serving.app.metrics import Metrics
from serving.app.settings import Limits
from serving.app.visitors import Proxies, networks
from tests.flows._processes import wait_for
from tests.serving.app._gateway import running


def closed(raw, seconds=20):
    """Whether the server closes a connection within that time."""
    raw.settimeout(seconds)
    try:
        return raw.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@contextlib.contextmanager
def opened(gateway, count, address):
    with contextlib.ExitStack() as stack:
        place = "127.0.0.1", gateway.port
        yield [stack.enter_context(socket.create_connection(place, 20, (address, 0))) for _ in range(count)]


def alive(gateway, address):
    with contextlib.suppress(OSError):
        return gateway.exchange("GET", "/healthz", address=address)[0] == 200
    return False


def test_one_address_has_a_quarter_of_the_connections_and_what_is_more_is_closed_at_once():
    with running(limits=Limits(rate=0, connections=8)) as gateway:
        with opened(gateway, 2, "127.0.0.2") as first, opened(gateway, 3, "127.0.0.2") as more:
            assert all(closed(each) for each in more)
            assert not any(closed(each, 0.05) for each in first)
            assert alive(gateway, "127.0.0.1")
        wait_for(lambda: alive(gateway, "127.0.0.2"))
        refused = re.search(rb"connections_refused_total (\d+)", gateway.exchange("GET", "/metrics")[2])
        assert int(refused[1]) >= 3
        (line,) = [each for each in gateway.said if "are closed" in each.get("message", "")]
        assert line["message"].startswith("new connections of 127.0.0.2 are closed")


def test_a_trusted_proxy_may_have_all_of_them_and_no_more():
    with running(limits=Limits(rate=0, connections=8), proxies=networks(["127.0.0.2"])) as gateway:
        with opened(gateway, 8, "127.0.0.2") as all_of_them, opened(gateway, 1, "127.0.0.3") as other:
            assert closed(other[0]) and not closed(all_of_them[7], 0.05)
        wait_for(lambda: alive(gateway, "127.0.0.3"))


@pytest.fixture
def brief(monkeypatch):
    """Deadlines of less than a second."""
    short = functools.partial(connections.Deadlines, head=0.4, kept=0.8, exchange=1.2)
    monkeypatch.setattr(connections, "Deadlines", short)
    monkeypatch.setattr(connections, "SWEEP", 0.1)
    with running() as gateway:
        yield gateway


HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("sent", [HEAD + b"X: ", HEAD + b"\r\n"])
def test_a_head_that_does_not_arrive_or_drips_is_not_waited_for(brief, sent):
    with opened(brief, 1, "127.0.0.1") as (raw,):
        raw.sendall(sent)
        if sent.endswith(b"\r\n\r\n"):  # the second head drips
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - start < 10:
                raw.sendall(b"G")
                time.sleep(0.1)
        assert 0.2 < time.monotonic() - start < 10


def test_an_answer_that_is_not_read_is_not_kept_for_ever(brief):
    with opened(brief, 1, "127.0.0.1") as (raw,):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(30):
            raw.sendall(b"GET /static/vendor/tfjs.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: not brief._server.server_state.connections)


def test_a_place_is_free_again_when_tls_ends_or_never_begins(tmp_path):
    listener = connections.Listener(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.limit(4, Proxies(), Metrics(), lambda _: None)
    with listener:
        for _ in range(3):
            with socket.create_connection(listener.getsockname()) as raw:
                taken, _ = listener.accept()
                assert listener._places.used == 1
                raw.sendall(b"no TLS at all")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                with contextlib.suppress(OSError), taken:
                    context.wrap_socket(taken, server_side=True)
                taken.close()
            assert listener._places.used == 0
