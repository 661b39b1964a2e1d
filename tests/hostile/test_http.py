"""What anybody can do to an HTTP server with a few connections, and how little that does to other visitors.

`make hostile URL=http://localhost:8080` does the same to a server of your own. Where that is not on this
machine, attacker and visitor have one address, and only what is left after an attack is looked at.
"""

import contextlib
import socket
import time

import pytest

from tests.hostile.conftest import DESCRIPTORS, PROXY

MANY = DESCRIPTORS + 44
ATTACKER, VISITOR = "127.0.0.2", "127.0.0.1"


def served(target, seconds):
    """Visit again and again for so long; nobody waits for more than a second."""
    until = time.monotonic() + seconds
    while target.local and time.monotonic() < until:
        assert target.visit(VISITOR) < 1
        time.sleep(0.02)


def opened(target, count, sent, address=ATTACKER):
    """That many connections, each with those bytes on it, until the stack that is returned is closed."""
    stack = contextlib.ExitStack()
    for number in range(count):
        with contextlib.suppress(OSError):  # refused, or closed before the bytes were sent
            raw = stack.enter_context(target.connect(address))
            raw.sendall(sent(number) if callable(sent) else sent)
    return stack


def test_heads_that_never_end_cost_other_visitors_nothing(target):
    head = target.head("Content-Length: 784", "X-Unfinished: ")[:-4]
    with opened(target, MANY // 2, head), opened(target, MANY // 2, b""):
        served(target, 1)
    target.recovers(ATTACKER)


@pytest.mark.parametrize(("attacker", "visitor"), [(ATTACKER, VISITOR), (PROXY, PROXY)])
def test_bodies_that_never_come_cost_others_nothing_behind_a_trusted_proxy_too(gateway, attacker, visitor):
    lines = ("Content-Length: 784", "Content-Type: application/octet-stream")
    head = gateway.head(*lines, "X-Forwarded-For: 198.51.100.{}, 192.0.2.1").decode()
    with opened(gateway, 64, lambda number: head.format(number).encode(), attacker):
        for _ in range(100):
            if gateway.local:
                assert gateway.visit(visitor, **{"X-Forwarded-For": "192.0.2.2"}) < 1
    gateway.recovers(attacker)


HUGE = ("ffffffffffffffff", "f" * 300)
BROKEN = ("-1", "1;" + "x" * 70_000)  # aiohttp may hold these, as a body that never comes, until its deadline


@pytest.mark.parametrize("size", HUGE, ids=lambda size: size[:20])
def test_a_chunk_larger_than_any_body_is_answered_at_once(target, size):
    refused(target, size)


@pytest.mark.parametrize("size", BROKEN, ids=lambda size: size[:20])
def test_a_chunk_without_a_size_is_answered_at_once(gateway, size):
    refused(gateway, size)


def refused(target, size):
    with target.connect() as raw:
        raw.sendall(target.head("Transfer-Encoding: chunked"))
        with contextlib.suppress(OSError):
            raw.sendall(f"{size}\r\n".encode() + bytes(100))
        assert ended(raw, 5) in ("4", "")
    assert target.visit(VISITOR) < 1


def ended(raw, seconds):
    """The first digit of the status of an answer; empty where the connection was closed without one."""
    raw.settimeout(seconds)
    try:
        return raw.recv(100)[9:10].decode()
    except ConnectionError:
        return ""


BODY = ("Content-Length: 3", "Content-Type: application/json")
STRANGE = {
    "two lengths": [*BODY, "Content-Length: 4"],
    "a length and chunks": [*BODY, "Transfer-Encoding: chunked"],
    "a length of 300 digits": [f"Content-Length: {'9' * 300}"],
    "an unknown transfer": ["Transfer-Encoding: nonsense"],
    "a blank before the colon": ["Content-Length : 3"],
    "a zero byte": ["X-Zero: \0"],
    "many fields": [f"X-{number}: {'y' * 50}" for number in range(20_000)],
}


@pytest.mark.parametrize("lines", STRANGE.values(), ids=STRANGE)
def test_a_head_that_means_nothing_is_refused_and_harms_nobody(target, lines):
    with target.connect() as raw:
        with contextlib.suppress(OSError):
            raw.sendall(target.head(*lines) + b"1 2")
        assert ended(raw, 5) in ("4", "5", "")
    assert target.visit(VISITOR) < 1


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"\r\n" * 5000, b"SSH-2.0-x\r\n\r\n"],
    ids=["TLS", "lines", "SSH"],
)
def test_what_is_no_http_is_ended_and_harms_nobody(target, sent):
    with opened(target, 20, sent):
        assert target.visit(VISITOR) < 1
    target.recovers(ATTACKER)


def test_requests_whose_answers_nobody_reads_harm_nobody(target):
    with target.connect() as raw:
        raw.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(200):
                raw.send(target.head(method="GET") * 50)
        served(target, 1)
    target.recovers(ATTACKER)


def test_visitors_who_leave_in_the_middle_harm_nobody(target):
    head = target.head(*BODY)
    for size in range(0, len(head), 7):
        with contextlib.suppress(OSError), target.connect() as raw:
            raw.sendall(head[:size])
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    assert target.visit(VISITOR) < 1
    target.recovers(ATTACKER)
