"""Sends one request after another to a server, over gRPC or HTTP, as cheaply as asyncio can.

Each client has a connection of its own. Only what tells success from failure is parsed, so that the load
generator, which shares the machine, uses as little of it as possible.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import grpc.aio  # type: ignore[import-untyped,unused-ignore]

OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # or all channels to an address share one connection
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class Failed(Exception):
    """A request did not succeed; the text gives the reason, the same text for the same reason."""


class Client(Protocol):
    """One connection that sends the same request again and again."""

    async def call(self) -> bytes:
        """Send the request once and return the answer's body. Raises Failed."""

    async def close(self) -> None:
        """Close the connection."""


class GrpcClient:
    """A unary call whose request is ready as bytes."""

    def __init__(self, target: str, method: str, payload: bytes, timeout: float) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._send = self._channel.unary_unary(method)  # no serializers: bytes in, bytes out
        self._payload = payload
        self._timeout = timeout

    async def call(self) -> bytes:
        """Send it once. Raises Failed with the status."""
        try:
            answer: bytes = await self._send(self._payload, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise Failed(f"{error.code().name}: {str(error.details())[:100]}") from None
        return answer

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class _Answers(asyncio.Protocol):
    """Splits a stream of bytes into answers: by Content-Length, or all until the connection ends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.last = False  # the server closes after this answer
        self._buffer = bytearray()
        self._body = -1  # where it begins; −1 while the head is not complete
        self._length: int | None = None
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._body < 0:
            self._head()
        if self._body >= 0 and self._length is not None and len(self._buffer) >= self._body + self._length:
            self._deliver(self._body + self._length)

    def _head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = bytes(self._buffer[:end]).lower().split(b"\r\n")
        fields = dict(line.split(b":", 1) for line in lines[1:])
        self._status = int(lines[0].split()[1])
        length = fields.get(b"content-length")
        self._length = None if length is None else int(length)
        self.last = b"close" in fields.get(b"connection", b"") or lines[0].startswith(b"http/1.0")
        self._body = end + 4
        if b"transfer-encoding" in fields:
            self._fail(Failed("the answer is chunked; the load generator reads a Content-Length only"))

    def _deliver(self, end: int) -> None:
        body = bytes(self._buffer[self._body : end])
        del self._buffer[:end]
        self._body, self._length = -1, None
        if self.waiting and not self.waiting.done():
            self.waiting.set_result((self._status, body))

    def _fail(self, error: Failed) -> None:
        self.last = True
        if self.waiting and not self.waiting.done():
            self.waiting.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.last = True
        if self._body >= 0 and self._length is None and exc is None:
            self._deliver(len(self._buffer))
        self._fail(Failed(f"connection lost: {type(exc).__name__ if exc else 'closed by the server'}"))


class HttpClient:
    """A POST whose bytes are ready; the connection is kept open where the server allows it."""

    def __init__(
        self, target: str, path: str, payload: bytes, timeout: float, kind: str = "application/json"
    ) -> None:
        host, _, port = target.rpartition(":")
        self._address = (host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {target}\r\nContent-Type: {kind}\r\n"
        self._bytes = f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload
        self._timeout = timeout
        self._stream: _Answers | None = None

    async def call(self) -> bytes:
        """Send it once. Raises Failed with the HTTP status, or with what happened to the connection."""
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._exchange()
        except TimeoutError:
            await self.close()
            raise Failed("no answer in time") from None
        except OSError as error:
            raise Failed(f"no connection: {type(error).__name__}") from None
        if status != 200:
            raise Failed(f"HTTP {status}: {body[:100].decode('utf-8', 'replace')}")
        return body

    async def _exchange(self) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        if self._stream is None or self._stream.last:
            await self.close()
            _, self._stream = await loop.create_connection(_Answers, *self._address)
        stream = self._stream
        stream.waiting = loop.create_future()
        assert stream.transport
        stream.transport.write(self._bytes)
        return await stream.waiting

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._stream and self._stream.transport:
            with contextlib.suppress(OSError):
                self._stream.transport.close()
        self._stream = None
