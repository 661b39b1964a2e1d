"""The REST port's connections: how many there may be, how long a request's head may take, and chunk sizes
that are refused before their bytes arrive.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from digits_model_server import limits

LOG = logging.getLogger("digits-model-server")
MOST = 2048  # connections; one costs some 20 kB
HEAD = 20.0  # seconds for a request's head, of which most come in one piece
QUEUE = 1024  # connections that the system holds until they are accepted; it drops others for a second
AT_ONCE = 16  # connections accepted at a time; one that is turned away has its descriptor for four such times
SILENCE = 60.0  # seconds between two lines in the log about connections that are turned away
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n"
    b"Connection: close\r\n\r\ntoo many connections\n"
)
LONGEST_HEAD = 1 << 16  # bytes of a head that are looked at; the parser has its own limits
_LINE = 20  # bytes of a chunk's line that are looked at: 16 digits are all that a parser takes


def most_connections() -> int:
    """Return how many connections leave half of the process's descriptors to its files and to gRPC.

    Raises the process's limit on descriptors to what MOST needs, as far as the system lets it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 2 * MOST:
        soft = 2 * MOST if hard == resource.RLIM_INFINITY else min(hard, 2 * MOST)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 2)


@dataclass
class Gate:
    """Counts a port's connections. One address may have half of them, so that another one finds room.

    request_bytes: the largest body, 0 for any.
    """

    most: int
    request_bytes: int
    head_seconds: float = HEAD
    by_address: Counter[str] = field(default_factory=Counter)
    _logged: dict[str, float] = field(default_factory=dict)

    def enter(self, address: str, now: float) -> bool:
        """Count a connection in and return True, or return False where there is no room for it."""
        total, own = self.by_address.total(), self.by_address[address]
        if total < self.most and own < max(1, self.most // 2):
            self.by_address[address] += 1
            return True
        self.log("full", f"REST: {total} connections, {own} of them from {address}: new ones get 503", now)
        return False

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]

    def log(self, kind: str, line: str, now: float) -> None:
        """Write a line to the log, unless there was one of its kind lately."""
        if now - self._logged.get(kind, -SILENCE) >= SILENCE:
            self._logged[kind] = now
            LOG.warning(line)

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """Handle what the event loop can't: a line of what accepting failed with, all of anything else."""
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context:
            self.log("error", f"REST: a connection can't be accepted: {error.strerror}", loop.time())
        else:
            loop.default_exception_handler(dict(context))


class Door(asyncio.Protocol):
    """Lets a new connection in, with the protocol that `make` returns for its address, or turns it away."""

    def __init__(self, gate: Gate, make: Callable[[str], Connection]) -> None:
        self._gate, self._make = gate, make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or say that there is no room."""
        assert isinstance(transport, asyncio.Transport)
        address = (transport.get_extra_info("peername") or ("",))[0]
        if self._gate.enter(address, asyncio.get_running_loop().time()):
            connection = self._make(address)
            transport.set_protocol(connection)
            connection.connection_made(transport)
        else:
            transport.write(FULL)
            transport.close()


class Connection(web.RequestHandler):
    """An HTTP connection that is counted, and closed where the head of a request does not arrive in time."""

    __slots__ = ("_address", "_body", "_gate", "_head", "_sizes", "_timer")

    def __init__(self, gate: Gate, address: str, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._gate, self._address = gate, address
        self._head: bytes | None = b""  # what has come of a head; None while a request is under way
        self._timer: asyncio.TimerHandle | None = None
        self._sizes: _ChunkSizes | None = None
        self._body: asyncio.StreamReader | Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._timer:
            self._timer.cancel()
        self._gate.leave(self._address)
        task = self._task_handler
        super().connection_lost(exc)
        if task and self._body is None:  # between two requests, or reading what is left of one
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: a part of a head or of a body."""
        if self._sizes:
            self._add_chunks(data)
        elif self._head is not None and data:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if end or len(head) > LONGEST_HEAD:
                self._head = None
                if end and b"chunked" in head.lower():
                    self._sizes = _ChunkSizes()
                    self._add_chunks(rest)
            elif not self._timer:
                self._await_head()
        super().data_received(data)

    def begin(self, body: Any) -> None:
        """Note that a request's head is complete. body: its stream."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._body = body
        self._add_chunks(b"")

    def end(self) -> None:
        """Note that a request was answered: the next one's head may come."""
        self._head, self._sizes, self._body = b"", None, None

    def _add_chunks(self, data: bytes) -> None:
        if self._sizes:
            self._sizes.add(data)
            most = self._gate.request_bytes
            if self._body is not None and most and self._sizes.total > most:
                self._body.set_exception(limits.too_large(most))

    def _await_head(self) -> None:
        self._timer = self._loop.call_later(self._gate.head_seconds, self.force_close)


class _ChunkSizes:
    """Adds up the sizes that the chunks of a body announce."""

    def __init__(self) -> None:
        self.total = 0
        self._line = b""
        self._left = 0  # bytes of the chunk that are still to come, with its line end

    def add(self, data: bytes) -> None:
        """Read the next bytes of the body. What is no chunk is left to the parser, which refuses it."""
        place = 0
        while place < len(data) and self._left >= 0:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place) + 1
            self._line += data[place : end or None][:_LINE]
            if not end:
                self._line = self._line[:_LINE]
                return
            place = end
            try:
                size = int(self._line.partition(b";")[0], 16)
            except ValueError:
                size = 0
            self._line = b""
            self.total += size
            self._left = size + 2 if size > 0 else -1
