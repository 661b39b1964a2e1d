"""ASGI, around everything: each request counted, timed and told on a line."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.app.metrics import Metrics

NUMBERED = ("/edge/", "/api/versions/")  # one name for all versions
QUIET = ("/static", "/healthz", "/readyz", "/metrics")  # answered without a line unless they fail
Tell = Callable[[Mapping[str, Any]], None]


class Observed:
    """tell: takes the line's fields."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tell: Tell) -> None:
        self._app, self._metrics, self._tell = app, metrics, tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = time.perf_counter(), 0
        number = secrets.token_hex(8)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            await send(message)

        self._metrics.under_way.inc()
        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            name = route(scope)
            self._metrics.under_way.dec()
            self._metrics.requests.labels(name, str(status or 499)).inc()  # 499: the visitor has left
            self._metrics.seconds.labels(name).observe(seconds)
            if status >= 400 or not name.startswith(QUIET):
                client = scope.get("client")
                self._tell(
                    {
                        "request": number,
                        "method": scope["method"],
                        "route": name,
                        "status": status or 499,
                        "ms": round(seconds * 1e3, 2),
                        "client": client[0] if client else None,
                    }
                )


def route(scope: Scope) -> str:
    """The name of what was asked for: few ones, whatever visitors type."""
    path: str = scope["path"]
    if path.startswith("/static/"):
        return "/static"
    for above in NUMBERED:
        if path.startswith(above):
            return above + "n"
    known = scope.get("route")  # as the router found it
    return path if known is not None and getattr(known, "path", None) == path else "other"
