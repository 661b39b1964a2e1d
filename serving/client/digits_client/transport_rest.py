"""Sends messages over HTTP, synchronously and in asyncio, whatever their content.

On httpcore rather than httpx, which is built on it: httpx has no deadline for a whole exchange, only one for
each read, which a slow server restarts with every byte. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from digits_client.codec_rest import reply
from digits_client.effects import CLOSED, DEADLINE, UNAVAILABLE, Message, Reply
from digits_client.options import Target

HEADERS = [("Content-Type", "application/json"), ("User-Agent", "digits-client")]
POOL: dict[str, Any] = {"max_connections": 100, "keepalive_expiry": 30.0}  # at once; seconds idle
LARGEST_ANSWER = 64 << 20  # bytes; the answer to a whole chunk has a hundred kilobytes


class RestTransport:
    """A pool of connections. Threads may share it."""

    def __init__(self, target: Target, roots: bytes | None) -> None:
        self._url = _url(target)
        self._pool = httpcore.ConnectionPool(_tls(target, roots), network_backend=_Deadlines(), **POOL)
        self._closed = False

    def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""
        ends = time.monotonic() + seconds
        # Points in time, which _Deadlines turns into durations at every step; the pool's is a duration.
        timeouts = {"connect": ends, "read": ends, "write": ends, "pool": seconds}
        try:
            with self._pool.stream(
                message.verb,
                self._url + message.path,
                headers=HEADERS,
                content=message.body,
                extensions={"timeout": timeouts},
            ) as response:
                body = bytearray()
                for part in response.iter_stream():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        return _too_long()
            return reply(response.status, bytes(body))
        except Exception as error:
            return _failed(error, self._closed)

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self._pool.close()


class AsyncRestTransport:
    """A pool of connections, for one event loop."""

    def __init__(self, target: Target, roots: bytes | None) -> None:
        self._url = _url(target)
        self._pool = httpcore.AsyncConnectionPool(_tls(target, roots), **POOL)
        self._closed = False

    async def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                async with self._pool.stream(
                    message.verb, self._url + message.path, headers=HEADERS, content=message.body
                ) as response:
                    body = bytearray()
                    async for part in response.aiter_stream():
                        body += part
                        if len(body) > LARGEST_ANSWER:
                            return _too_long()
            return reply(response.status, bytes(body))
        except Exception as error:
            return _failed(error, self._closed)

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        await self._pool.aclose()


class _Deadlines(httpcore.NetworkBackend):
    """Takes points in time as timeouts, and gives each step the time that is left."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        socket, rest = self._inner.get_extra_info("socket"), memoryview(buffer)
        try:
            while rest:  # the inner stream's own loop would give each part the whole timeout
                socket.settimeout(_left(timeout))
                rest = rest[socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(ends: float | None) -> float:
    left = (ends or 0.0) - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left


def _url(target: Target) -> str:
    return f"{'https' if target.tls else 'http'}://{target.address}"


def _tls(target: Target, roots: bytes | None) -> ssl.SSLContext | None:
    if not target.tls:
        return None
    return ssl.create_default_context(cadata=roots.decode() if roots else None)


def _failed(error: Exception, closed: bool) -> Reply:
    if closed:
        return Reply(CLOSED, text="this client was closed during a call")
    if isinstance(error, httpcore.TimeoutException | TimeoutError):
        return Reply(DEADLINE)
    if isinstance(error, httpcore.NetworkError | httpcore.ProtocolError):
        return Reply(UNAVAILABLE, text=str(error) or type(error).__name__)
    raise error


def _too_long() -> Reply:
    return Reply("DATA_LOSS", text=f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
