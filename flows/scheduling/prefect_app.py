"""Prefect's server, behind a check that a request was sent to its own address, by its own page or a program.

    python -m flows.scheduling.prefect_app PORT

`flows.scheduling.server` starts it. Prefect checks the password (its setting), but not the Host header: a web
page whose name leads to this machine could send requests as if it were the server's own page. In place of
`prefect server start`, which offers no way to wrap the application.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from flows.scheduling.settings import LOOPBACK

NAMES = (LOOPBACK, "localhost")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def origins(port: int) -> tuple[str, ...]:
    """The origins of the server's own pages."""
    return tuple(f"http://{name}:{port}" for name in NAMES)


class OwnAddress:
    """An ASGI application that passes requests on whose Host, and Origin if any, are the server's own."""

    def __init__(self, application: Application, port: int) -> None:
        self._application = application
        self._hosts = {f"{name}:{port}".encode() for name in NAMES}
        self._origins = {origin.encode() for origin in origins(port)}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request: 403 and one line, or a closed websocket, if it is refused."""
        if scope["type"] == "lifespan" or self._is_own(scope["headers"]):
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008}
            )  # answered as 403, since it was not accepted
        else:
            text = b"this server answers its own pages, and programs that name its own address, alone\n"
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": text})

    def _is_own(self, headers: list[tuple[bytes, bytes]]) -> bool:
        hosts = [value for name, value in headers if name == b"host"]
        sent_from = [value for name, value in headers if name == b"origin"]
        return len(hosts) == 1 and hosts[0].lower() in self._hosts and set(sent_from) <= self._origins


def main() -> None:
    """Serve until a signal, with Prefect's settings of the environment."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    port, settings = int(sys.argv[1]), get_current_settings().server
    uvicorn.run(
        OwnAddress(create_app(final=True), port),
        host=LOOPBACK,
        port=port,
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
        server_header=False,
    )


if __name__ == "__main__":
    main()
