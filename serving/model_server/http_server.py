"""The REST port: HTTP in an event loop of its own, each request answered by a thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from serving.model_server import limits, rest_api, statuses
from serving.model_server.limits import Limits
from serving.model_server.rest_api import Reply, RestApi
from serving.model_server.statuses import Status

LOG = logging.getLogger("digits-model-server")
IDLE = 75.0  # seconds that a connection may stay open without a whole request head
BACKLOG = 1024


def bind(host: str, port: int, *, listen: bool = True) -> socket.socket:
    """A socket on the port, listening if wanted. Raises Status where the port is taken."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        if listen:
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise Status(
            statuses.UNAVAILABLE,
            f"can't listen on {host}:{port}: {error.strerror or error}; stop what uses it, or choose "
            "another port",
        ) from None
    return made


class HttpServer:
    """Serves a RestApi on a socket until it is stopped."""

    def __init__(
        self, api: RestApi, sock: socket.socket, bounds: Limits, threads: int, seconds: float
    ) -> None:
        self._api, self._socket, self._bounds, self._seconds = api, sock, bounds, seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._grace = 0.0
        self._under_way = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)

    def start(self) -> None:
        """Take requests from now on."""
        self._thread.start()
        self._ready.wait()

    def stop(self, grace: float) -> None:
        """Take no more; wait so many seconds for those under way."""
        self._grace = grace
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._pool.shutdown(wait=False)
        self._loop.close()

    async def _serve(self) -> None:
        protocols = web.Server(
            self._handle, access_log=None, keepalive_timeout=IDLE, auto_decompress=False, lingering_time=1.0
        )
        server = await self._loop.create_server(protocols, sock=self._socket, backlog=BACKLOG)
        self._ready.set()
        await self._stop.wait()
        server.close()
        end = self._loop.time() + self._grace
        while self._under_way and self._loop.time() < end:  # aiohttp's own shutdown reads no more of a body
            await asyncio.sleep(0.02)
        await protocols.shutdown(0.5)

    async def _handle(self, request: Any) -> web.StreamResponse:
        self._under_way += 1
        try:
            response = await self._answered(request)
        finally:
            self._under_way -= 1
        return _closing(response) if self._stop.is_set() else response

    async def _answered(self, request: Any) -> web.Response:
        try:
            body = await asyncio.wait_for(self._body(request), self._seconds)
            reply: Reply = await self._loop.run_in_executor(
                self._pool,
                self._api.reply,
                request.method,
                request.raw_path,
                request.headers,
                body,
                self._seconds,
            )
        except TimeoutError:
            error = Status(statuses.DEADLINE_EXCEEDED, f"the body did not arrive within {self._seconds:g} s")
            return _closing(_response(rest_api.failure(error)))
        except Status as error:  # too large: what is still to come is not read
            return _closing(_response(rest_api.failure(error)))
        except Exception as error:
            LOG.exception("a request failed")
            return _response(rest_api.failure(Status(statuses.INTERNAL, f"{type(error).__name__}: {error}")))
        return _response(reply)

    async def _body(self, request: Any) -> bytes:
        most = self._bounds.request_bytes
        if most and (request.content_length or 0) > most:
            raise limits.too_large(most)
        if not request.body_exists:
            return b""
        parts, size = [], 0
        async for part in request.content.iter_any():
            size += len(part)
            if most and size > most:
                raise limits.too_large(most)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _response(reply: Reply) -> web.Response:
    return web.Response(
        status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type, **reply.headers}
    )


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response
