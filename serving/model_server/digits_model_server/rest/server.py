"""The REST port: passes HTTP requests to a RestApi, within limits on their size and on the time that they
take.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from digits_model_server import limits, status
from digits_model_server.event_loop import EventLoopServer
from digits_model_server.limits import Limits
from digits_model_server.process import Readiness
from digits_model_server.rest import api, connections
from digits_model_server.rest.api import Reply
from digits_model_server.rest.connections import Connection, Door, Gate
from digits_model_server.status import Status, invalid

LOG = logging.getLogger("digits-model-server")
IDLE = 75.0  # seconds that a connection may stay open between two requests
READY = "/readyz"  # for probes; upstream has none


class Api(Protocol):
    """Anything that answers REST requests as RestApi does."""

    async def reply(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float | None
    ) -> Reply:
        """Answer one request, invalid ones too."""
        ...


def bind(host: str, port: int, *, listen: bool = True) -> socket.socket:
    """Return a socket bound to the port, listening unless told otherwise.

    Raises Status where the port is taken.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        if listen:
            made.listen(connections.QUEUE)
    except OSError as error:
        made.close()
        raise Status(
            status.UNAVAILABLE,
            f"can't listen on {host}:{port}: {error.strerror or error}; stop what uses it, or choose "
            "another port",
        ) from None
    return made


class HttpServer(EventLoopServer):
    """Serves an Api on a socket until it is stopped."""

    def __init__(
        self,
        api: Api,
        sock: socket.socket,
        bounds: Limits,
        threads: int,
        seconds: float | None,
        readiness: Readiness,
    ) -> None:
        """seconds: time limit of a request, None for none."""
        super().__init__("rest", threads)
        self._readiness = readiness
        self._api, self._socket, self._bounds, self._seconds = api, sock, bounds, seconds
        self.gate = Gate(connections.most_connections(), bounds.request_bytes)
        self._under_way = 0

    async def serve(self) -> None:
        """Run the server until it is asked to stop."""
        protocols: web.Server = web.Server(self._handle)
        options = {
            "loop": self.loop,
            "access_log": None,
            "logger": _quiet(),
            "keepalive_timeout": IDLE,
            "auto_decompress": False,
            "lingering_time": 1.0,
        }
        self.loop.set_exception_handler(self.gate.on_loop_error)
        server = await self.loop.create_server(
            lambda: Door(self.gate, lambda address: Connection(self.gate, address, protocols, **options)),
            sock=self._socket,
            backlog=connections.AT_ONCE,
        )
        self._socket.listen(connections.QUEUE)  # asyncio has made it as short as the number that it accepts
        self.mark_ready()
        await self.stopping.wait()
        server.close()
        end = self.loop.time() + self.grace
        while self._under_way and self.loop.time() < end:  # aiohttp's own shutdown reads no more of a body
            await asyncio.sleep(0.02)
        await protocols.shutdown(0.5)
        await asyncio.sleep(0.01)  # the connections that it has closed end

    async def _handle(self, request: Any) -> web.StreamResponse:
        self._under_way += 1
        request.protocol.begin(request.content)
        try:
            response = await self._respond(request)
        finally:
            request.protocol.end()
            self._under_way -= 1
        return (
            response if self._readiness.ready else _closing(response)
        )  # so that clients that keep connections reconnect elsewhere

    async def _respond(self, request: Any) -> web.Response:
        if request.raw_path == READY:
            ready = self._readiness.ready
            return web.Response(status=200 if ready else 503, text="ready\n" if ready else "stopping\n")
        try:
            body = await asyncio.wait_for(self._body(request), self._seconds)
            packed = request.headers.get("Content-Encoding")  # its size says nothing about the work
            kind = object() if packed else (request.raw_path, len(body).bit_length())
            asked = request.method, request.raw_path, request.headers, body, self._seconds
            reply = await self.answer(kind, self._api.reply, *asked)
        except TimeoutError:
            error = Status(status.DEADLINE_EXCEEDED, f"the body did not arrive within {self._seconds:g} s")
            return _closing(_response(api.error_reply(error)))
        except (RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            wrong = " ".join(str(error).split())[:200]
            return _closing(_response(api.error_reply(invalid(f"the body can't be read: {wrong}"))))
        except Status as error:  # too large: the rest is not read
            return _closing(_response(api.error_reply(error)))
        except Exception as error:
            LOG.exception("a request failed")
            return _response(api.error_reply(Status(status.INTERNAL, f"{type(error).__name__}: {error}")))
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


def _quiet() -> logging.Logger:
    """Return aiohttp's logger. Input that is not HTTP, or too large, does not fill the log."""
    logger = LOG.getChild("http")

    def wanted(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | Status))

    if not logger.filters:
        logger.addFilter(wanted)
    return logger


def _response(reply: Reply) -> web.Response:
    return web.Response(
        status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type, **reply.headers}
    )


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response
