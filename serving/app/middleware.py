"""ASGI middleware: metrics and a log line for each request, security headers, and what a request must pass.

From the outside in: SecurityHeaders, what every answer tells a browser about what it may do with it;
Observer, which knows whose request it is, counts and times it, and answers where the app failed; Guard, which
checks host, origin, key, rate, size and time before a route sees a request.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.app.connections import ANNOUNCED, Lines
from serving.app.errors import DETAILS, NUMBER, STATUS, Failure, Refusal, response
from serving.app.log_lines import Tell
from serving.app.metrics import Metrics
from serving.app.settings import Settings
from serving.app.visitors import Proxies, Rate, Shares, counted

GUARDED = ("/api/", "/edge/")  # want the key where there is one, and count for the limits
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::[0-9]{1,5})?")  # IPv6 or a name, and a port
SLOW = 1 << 19  # bytes that a body counts for while it is arriving


class Guard:
    """ASGI. A request has a slot once its body has arrived, so that slow ones keep nobody else waiting."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        limits = settings.limits
        self._app, self._settings = app, settings
        self._rate = Rate(limits.rate, limits.burst, time.monotonic)
        self._hosts = {host.lower() for host in settings.hosts}
        self._slots = Shares(limits.concurrent, max(limits.concurrent // 2, 1))
        self._bodies = Shares(4 * limits.bodies, limits.bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            headers = dict(scope["headers"])
            self._check_host(headers)
            if not scope["path"].startswith(GUARDED):
                return await self._app(scope, receive, watched)
            visitor = counted(client(scope))
            self._check(scope, headers, visitor)
            await self._answered(scope, receive, watched, visitor)
        except Refusal as refused:
            if not begun:
                await response(refused, scope)(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, visitor: str) -> None:
        seconds = self._settings.limits.seconds
        body = _Body(receive, scope, self._bodies, visitor, self._settings.limits.body)
        try:
            async with asyncio.timeout(seconds):
                await body.arrive()
                if not self._slots.take(visitor):
                    raise Refusal("busy", "too many requests are under way: come back in a second", again=1)
                try:
                    await self._app(scope, body, send)
                finally:
                    self._slots.give_back(visitor)
        except TimeoutError:
            if body.whole:
                raise Refusal("late", f"no answer within {seconds:g} s: ask for less at once") from None
            slow = f"the request did not arrive within {seconds:g} s: send less, or send it faster"
            raise Refusal("too_slow", slow) from None
        finally:
            body.free()

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        if not self._hosts:
            return
        host = headers.get(b"host", b"").decode("latin-1")
        name = HOST.fullmatch(host.lower())
        if name is None or (name[1] or name[2]) not in self._hosts:
            raise Refusal("forbidden", f"this gateway is not '{host[:80]}': see --allow-host")

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes], visitor: str) -> None:
        origin = headers.get(b"origin")
        if origin and scope["method"] != "GET" and origin.partition(b"://")[2] != headers.get(b"host"):
            raise Refusal("forbidden", "another site's page sent this request: only the gateway's own may")
        wait = self._rate.wait(visitor)
        if wait:
            raise Refusal("too_many", f"too many requests: come back in {max(wait, 0.1):.1f} s", again=wait)
        if self._settings.key is not None:
            self._check_key(headers.get(b"authorization", b""))
        form = headers.get(b"content-encoding", b"identity").strip().lower()
        if form != b"identity":
            told = (
                f"the body is compressed ('{form[:20].decode('latin-1')}'): send it without Content-Encoding"
            )
            raise Refusal("wrong_type", told)
        limit = self._settings.limits.body
        length = headers.get(b"content-length")
        if length is not None and b"transfer-encoding" in headers:
            # A proxy may take the one and this server the other, and what is left for the next request.
            raise Refusal("bad_request", "the request has Content-Length and Transfer-Encoding: send one")
        if length is not None and length.isdigit() and int(length) > limit:
            raise Refusal("too_large", _too_large(limit))

    def _check_key(self, given: bytes) -> None:
        kind, _, word = given.partition(b" ")
        key = (self._settings.key or "").encode()
        if kind.lower() != b"bearer" or not hmac.compare_digest(word.strip(), key):
            raise Refusal("unauthorized", "an API key is wanted: send 'Authorization: Bearer KEY'")


class _Body:
    """A request's body: read whole before the request has a slot, then what the app receives.

    Most come at once, with the head. Of the others the bytes are counted, for they stay in memory until the
    request has been answered; each counts for SLOW at least, or any number that send nothing could wait here.
    """

    def __init__(self, receive: Receive, scope: Scope, bodies: Shares, visitor: str, limit: int) -> None:
        self._receive, self._scope, self._limit = receive, scope, limit
        self._bodies, self._visitor, self._counted = bodies, visitor, 0
        self._message: Message | None = None
        self.whole = False

    async def arrive(self) -> None:
        """Read it. Raises Refusal when it is too large, ClientDisconnect when the visitor leaves."""
        parts: list[bytes] = []
        size = 0
        while not self.whole:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            self.whole = not message.get("more_body", False)
            if size + self._scope.pop(ANNOUNCED, 0) > self._limit:
                raise Refusal("too_large", _too_large(self._limit))
            if not self.whole:
                self._count(max(size, SLOW))
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._message = {"type": "http.request", "body": body, "more_body": False}

    def free(self) -> None:
        """The request is over."""
        if self._counted:
            self._bodies.give_back(self._visitor, self._counted)
            self._counted = 0

    async def __call__(self) -> Message:
        """ASGI's receive."""
        message, self._message = self._message, None
        return await self._receive() if message is None else message

    def _count(self, size: int) -> None:
        if size > self._counted:
            if not self._bodies.take(self._visitor, size - self._counted):
                raise Refusal("busy", "too many requests are arriving: come back in a second", again=1)
            self._counted = size


def _too_large(limit: int) -> str:
    return f"the request has more than {limit / (1 << 20):g} MiB: make the picture smaller"


def client(scope: Scope) -> str:
    """The address of a request's visitor, once `Observer` has seen to proxies."""
    found = scope.get("client")
    return found[0] if found else ""


NUMBERED = ("/edge/", "/api/versions/")  # one name for all versions
LEFT = 499  # the status, in the log and the metrics, of a request whose visitor has left
QUIET = ("/static", "/healthz", "/readyz", "/metrics")  # answered without a line unless they fail
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others are one in the log


Failed = Callable[[str, int, float], None]


class Observer:
    """ASGI. A failure of the app is one line in the log and a 500, never a traceback for a visitor."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tell: Tell, proxies: Proxies, failed: Failed) -> None:
        """failed: is told the route, the status and the seconds of each request that is not answered well."""
        self._app, self._metrics, self._tell, self._proxies = app, metrics, tell, proxies
        self._failed = failed
        self._lines = Lines(tell)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = time.perf_counter(), 0
        number = scope[NUMBER] = secrets.token_hex(8)
        if client(scope) in self._proxies:
            scope["client"] = (self._proxies.visitor(scope), 0)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            await send(message)

        self._metrics.under_way.inc()
        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass
        except Exception as error:
            failure = Failure("failed", f"{type(error).__name__}: {error}")
            scope[DETAILS] = failure.details
            if not status:
                await response(failure, scope)(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            name = route(scope)
            self._metrics.under_way.dec()
            self._metrics.requests.labels(name, str(status or LEFT)).inc()
            self._metrics.seconds.labels(name).observe(seconds)
            if status >= 400:
                self._failed(name, status, seconds)
            if status == STATUS["too_many"]:
                self._lines.tell(f"requests of {client(scope)} are refused: too many a second")
            elif status >= 400 or not name.startswith(QUIET):
                line = {
                    "request": number,
                    "method": scope["method"] if scope["method"] in METHODS else "other",
                    "route": name,
                    "status": status or LEFT,
                    "ms": round(seconds * 1e3, 2),
                    "client": client(scope) or None,
                }
                self._tell(line | {"details": scope[DETAILS]} if DETAILS in scope else line)


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


POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; style-src 'self'; "
    "connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
ALL = {
    "Content-Security-Policy": POLICY,  # WebAssembly is compiled in the page: the browser's own model
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RAW = [(name.lower().encode(), value.encode()) for name, value in ALL.items()]


class SecurityHeaders:
    """ASGI: adds them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *RAW]
            await send(message)

        return await self._app(scope, receive, with_headers)
