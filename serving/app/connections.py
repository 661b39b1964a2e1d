"""The connections of the gateway: how many there may be, and how long each may last.

Each connection costs a descriptor, and a process without descriptors answers nobody. A connection beyond the
limit, or beyond the share of its address, is closed at once; one that sends no request or reads no answer is
closed after a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.app import log_lines
from serving.app.log_lines import Tell
from serving.app.metrics import Metrics
from serving.app.visitors import Proxies, Shares, counted

BACKLOG = 128  # connections that wait in the kernel; asyncio takes as many in one turn of its loop
OTHERS = 64  # descriptors for all else: model server, databases, log, libraries
EACH = 2  # descriptors of a visitor: the connection, and the file that is sent over it
LEAST = 8  # connections, where there are descriptors for next to nothing
PART = 4  # one address has at most this part of the connections
PAUSE = 0.5  # seconds without new connections when there is no descriptor left; asyncio pauses for 1

HEAD = 10.0  # seconds for a first request's head
KEPT = 30.0  # seconds that a connection may be idle between two requests
EXCHANGE = 300.0  # seconds for any request and its answer: a model for browsers over a bad line
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
SWEEP = 1.0  # seconds between two looks at all connections
SILENCE = 60.0  # seconds between two lines about the same thing
ANNOUNCED = "digits.announced"  # in a request's scope: bytes that the chunk's head has promised


class Listener(socket.socket):
    """A listening socket that hands out no more connections than there may be.

    asyncio calls `accept`, and closes what it was given: that frees the place, with TLS as without.
    """

    def limit(self, connections: int, proxies: Proxies, metrics: Metrics, tell: Tell) -> None:
        """Set how many there may be. proxies: addresses that stand for many visitors."""
        total = _affordable(connections)
        self._places = Shares(total, max(total // PART, 1))
        self._proxies, self._metrics, self._lines = proxies, metrics, Lines(tell)
        self._again = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that has a place. Raises BlockingIOError when there is none."""
        if time.monotonic() < self._again:
            raise BlockingIOError(errno.EAGAIN, "no descriptor is free")
        for _ in range(BACKLOG):
            try:
                connection, address = super().accept()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._again = time.monotonic() + PAUSE
                raise
            visitor = "" if address[0] in self._proxies else counted(address[0])
            if self._places.take(visitor):
                return _Connection(connection, self._places, visitor), address
            connection.close()
            self._metrics.refused.inc()
            self._lines.tell(f"new connections of {address[0]} are closed: too many are open")
        raise BlockingIOError(errno.EAGAIN, "the requests that came have their turn first")


class _Connection(socket.socket):
    """A connection that gives its place back when it is closed."""

    def __init__(self, accepted: socket.socket, places: Shares, visitor: str) -> None:
        kind = accepted.family, accepted.type, accepted.proto
        super().__init__(*kind, fileno=accepted.detach())
        self._place: tuple[Shares, str] | None = (places, visitor)

    def close(self) -> None:
        """Close it; more than once does no harm."""
        if self._place is not None:
            (places, visitor), self._place = self._place, None
            places.give_back(visitor)
        super().close()


def _affordable(connections: int) -> int:
    """The number of connections, at most the given one, that the process has descriptors for.

    Raises the process's limit on descriptors as far as the system lets it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OTHERS + EACH * connections
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(LEAST, min(connections, (soft - OTHERS) // EACH))


class Lines:
    """Writes a log line that visitors can cause at most once a minute, with how often it happened."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._next, self._since = tell, 0.0, 0

    def tell(self, line: str) -> None:
        """Write the line, or count it if one was written lately."""
        self._since += 1
        if (now := time.monotonic()) >= self._next:
            again = f" ({self._since} times since the last such line)" if self._since > 1 else ""
            self._tell(log_lines.event(line + again, "warning"))
            self._next, self._since = now + SILENCE, 0


class Protocol(H11Protocol):
    """HTTP over one connection. Adds the announced size of the current chunk to a request's scope.

    So a chunk above the limit is refused when it is announced, not when all of it has arrived.
    """

    def handle_events(self) -> None:
        """Handle the bytes that have arrived."""
        super().handle_events()
        announced = getattr(self.conn._reader, "_bytes_in_chunk", 0)
        if announced and self.cycle is not None and self.cycle.more_body:
            cast(dict[str, Any], self.scope)[ANNOUNCED] = announced
            self.cycle.message_event.set()


@dataclass(slots=True)
class _Watched:
    state: tuple[object, bool]
    until: float


class Deadlines:
    """Ends connections that last too long: without a complete head, idle, or with an answer that is not read.

    uvicorn itself ends only those that are idle between two requests.
    """

    def __init__(self, head: float = HEAD, kept: float = KEPT + HEAD, exchange: float = EXCHANGE) -> None:
        self._head, self._kept, self._exchange = head, kept, exchange
        self._known: dict[Any, _Watched] = {}

    def sweep(self, connections: Iterable[Any], now: float) -> None:
        """Check all of uvicorn's connections. To be called about every second; it costs a request nothing."""
        known = {}
        for each in list(connections):
            under_way = each.cycle is not None and not each.cycle.response_complete
            state = (each.cycle, under_way)
            watched = self._known.get(each)
            if watched is None or watched.state != state:
                kept = self._kept if each.cycle is not None else self._head
                watched = _Watched(state, now + (self._exchange if under_way else kept))
            elif now > watched.until:
                each.transport.abort()
            known[each] = watched
        self._known = known


def quiet(loop: asyncio.AbstractEventLoop, tell: Tell) -> None:
    """Log errors outside of requests as single lines, at most one a minute, without tracebacks."""
    lines = Lines(tell)

    def log(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = f"{type(error).__name__}: {error}" if error else ""
        lines.tell(f"{context.get('message', '')} {what}".strip()[:300])

    loop.set_exception_handler(log)
