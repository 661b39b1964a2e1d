"""Clients that take up the model server's REST port: with connections, unfinished heads, chunk sizes."""

import contextlib
import socket
import threading
import time

import pytest

from digits_model_server.limits import Limits
from digits_model_server.process import Readiness
from digits_model_server.rest import connections
from digits_model_server.rest.api import Reply
from digits_model_server.rest.server import HttpServer, bind
from tests._ports import free_port
from tests.serving import _models
from tests.serving._server import Server

HERE, THERE = "127.0.0.1", "127.0.0.2"
MOST = 1000  # bytes of a body
POST = b"POST /v1/models/default:predict HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"instances": [1.0]}'
WHOLE = POST + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def connect(port, address=HERE):
    return socket.create_connection((HERE, port), 10, source_address=(address, 0))


def ask(port, sent=WHOLE, address=HERE):
    """Return (status line, seconds) of the answer to what is sent."""
    begun = time.monotonic()
    with connect(port, address) as sock:
        sock.sendall(sent)
        return sock.recv(1 << 16).partition(b"\r\n")[0], time.monotonic() - begun


class Echo:
    """An API that answers with the size of the body."""

    async def reply(self, *request):
        return Reply(200, b"%d" % len(request[3]))


@contextlib.contextmanager
def port(most=8, head_seconds=connections.HEAD, seconds=20.0):
    """A REST port in this process that takes bodies of up to MOST bytes."""
    number = free_port()
    server = HttpServer(Echo(), bind(HERE, number), Limits(MOST), 1, seconds, Readiness())
    server.gate.most, server.gate.head_seconds = most, head_seconds
    server.start()
    try:
        yield number
    finally:
        server.stop(1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("server")
    _models.half_plus(base / "half" / "1", 1.0)
    with Server(base / "log", f"--model_base_path={base / 'half'}", descriptors=256) as made:
        yield made


def test_a_connection_beyond_the_bound_is_told_so_and_a_closed_one_makes_room():
    with port(most=4) as number, connect(number) as first, connect(number) as second:
        status, _ = ask(number)
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert ask(number, address=THERE)[0] == b"HTTP/1.1 200 OK"
        first.close()
        second.sendall(WHOLE)
        assert second.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert ask(number)[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("sent", [[], [POST], [POST, b"A: b\r\n", b"C: d\r\n", b"E: f\r\n"], [WHOLE, POST]])
def test_a_head_that_is_not_complete_in_time_ends_the_connection(sent):
    with port(head_seconds=0.4) as number, connect(number) as sock:
        begun = time.monotonic()
        for piece in sent:
            sock.sendall(piece)
            time.sleep(0.1)  # each piece in time, but not all of them
        while sock.recv(1000):
            pass
        assert 0.3 < time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "chunks",
    [
        b"ffffffffffffffff\r\n",
        b"%x\r\n" % (MOST + 1),
        b"3\r\nabc\r\n%x\r\n" % (MOST - 2),
        b"1\r\n\n\r\n" * 5 + b"%x\r\n" % MOST,
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_chunk_that_does_not_fit_is_refused_before_it_arrives(chunks, at_once):
    with port() as number, connect(number) as sock:
        sock.sendall(WHOLE)
        assert sock.recv(1000).endswith(b"\r\n20")
        begun = time.monotonic()
        pieces = [CHUNKED + chunks] if at_once else [CHUNKED[:-2], b"\r\n", *(bytes([c]) for c in chunks)]
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.002)
        answer = sock.recv(1000)
        assert answer.startswith(b"HTTP/1.1 429 ") and b"larger than 1000 bytes" in answer
        assert time.monotonic() - begun < 2


def test_chunks_that_fit_are_read_in_any_pieces(caplog):
    body = b"%x\r\n%s\r\n" % (MOST - 6, b"\n" * (MOST - 6)) + b"5;x=y\r\n1\r\n34\r\n1\r\n6\r\n0\r\n\r\n"
    with port() as number, connect(number) as sock:
        for step in (len(body), 1, 7, 300):
            sock.sendall(CHUNKED)
            for start in range(0, len(body), step):
                sock.sendall(body[start : start + step])
            assert sock.recv(1000).endswith(b"\r\n1000")
    assert not caplog.records


@pytest.mark.parametrize("body", [b"", b"{"])
def test_a_body_that_does_not_come_in_time_is_given_up_and_delays_nobody(body):
    with port(seconds=0.5) as number, connect(number) as slow:
        slow.sendall(POST + b"Content-Length: 100\r\n\r\n" + body)
        assert ask(number)[0] == b"HTTP/1.1 200 OK"
        assert slow.recv(1000).startswith(b"HTTP/1.1 504 ")


def test_thirty_megabytes_of_empty_lists_are_refused_and_delay_no_other_client(server):
    lists = b'{"instances": [' + b"[]," * 10_000_000 + b"[]]}"
    slowest = 0.0
    sender = threading.Thread(target=lambda: server.rest("/v1/models/default:predict", lists))
    sender.start()
    while sender.is_alive():
        slowest = max(slowest, ask(server.rest_port)[1])
    assert slowest < 2
    status, answer = server.rest("/v1/models/default:predict", lists[:8_000_000] + b"]]}")
    assert status == 400 and "lists, objects and strings" in answer["error"]
