"""ASGI middleware: metrics and a log line for each request, security headers, and what a request must pass.

From the outside in: SecurityHeaders, what every answer tells a browser about what it may do with it;
Observer, which counts and times each request, and answers where the app failed; Guard, which checks host,
origin, key, rate, size and time before a route sees a request. The rate is a bucket of tokens for each
address, refilled with time.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.app import log_lines
from serving.app.errors import Refusal, response
from serving.app.log_lines import Tell
from serving.app.metrics import Metrics
from serving.app.settings import Settings

API = "/api/"


class Guard:
    """ASGI. draining: whether new requests of the API are sent away, those under way go on."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._rate = Rate(settings.limits.rate, settings.limits.burst, time.monotonic)
        self._hosts = {host.lower() for host in settings.hosts}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        arriving = _Arriving(receive, self._settings.limits.body)
        try:
            self._check(scope)
            if not scope["path"].startswith(API):
                return await self._app(scope, arriving, watched)
            await self._api(scope, arriving, watched)
        except Refusal as refused:
            if not begun:
                await response(refused)(scope, receive, send)

    async def _api(self, scope: Scope, arriving: _Arriving, send: Send) -> None:
        limits = self._settings.limits
        if self._under_way >= limits.concurrent:
            raise Refusal("busy", f"{self._under_way} requests are under way: come back in a second", again=1)
        self._under_way += 1
        try:
            async with asyncio.timeout(limits.seconds):
                await self._app(scope, arriving, send)
        except TimeoutError:
            if arriving.whole:
                late = f"no answer within {limits.seconds:g} s: ask for less at once"
                raise Refusal("late", late) from None
            slow = f"the request did not arrive within {limits.seconds:g} s: send less, or send it faster"
            raise Refusal("too_slow", slow) from None
        finally:
            self._under_way -= 1

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _name(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            raise Refusal("forbidden", f"this gateway is not '{host[:80]}': see --allow-host")
        if not scope["path"].startswith(API):
            return
        origin = headers.get("origin")
        if origin and scope["method"] != "GET" and urlsplit(origin).netloc != headers.get("host"):
            raise Refusal("forbidden", "another site's page sent this request: only the gateway's own may")
        client = scope.get("client")
        wait = self._rate.wait(client[0] if client else "")
        if wait:
            raise Refusal("too_many", f"too many requests: come back in {max(wait, 0.1):.1f} s", again=wait)
        self._check_key(headers.get("authorization", ""))
        limit = self._settings.limits.body
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise Refusal("too_large", _too_large(limit))

    def _check_key(self, given: str) -> None:
        if (key := self._settings.key) is None:
            return
        kind, _, word = given.partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(word.strip().encode(), key.encode()):
            raise Refusal("unauthorized", "an API key is wanted: send 'Authorization: Bearer KEY'")


class _Arriving:
    """The body as it comes, at most so many bytes of it."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._bytes, self.whole = 0, False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
            if self._bytes > self._limit:
                raise Refusal("too_large", _too_large(self._limit))
        return message


def _too_large(limit: int) -> str:
    return f"the request has more than {limit / (1 << 20):g} MiB: make the picture smaller"


def _name(host: str) -> str:
    """Of a Host header, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


KNOWN = 10_000  # addresses that are remembered; who comes back after more begins anew


class Rate:
    """rate: tokens a second; burst: what a full bucket holds. A rate of 0 lets everybody pass."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → tokens, when

    def wait(self, address: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, then = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        passes = tokens >= 1
        self._buckets[address] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._rate


NUMBERED = ("/edge/", "/api/versions/")  # one name for all versions
QUIET = ("/static", "/healthz", "/readyz", "/metrics")  # answered without a line unless they fail
FAILED = Refusal("failed", "the gateway failed on this request: its log says why")


class Observer:
    """ASGI. A failure of the app is one line in the log and a 500, never a traceback for a visitor."""

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
        except ClientDisconnect:
            pass
        except Exception as error:
            line = f"{scope['path']} failed: {type(error).__name__}: {error}"
            self._tell(log_lines.event(line, "error"))
            if not status:
                await response(FAILED)(scope, receive, watched)
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
