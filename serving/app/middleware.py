"""What a request must pass before a route sees it: its host, its key, its rate, its size, its time."""

from __future__ import annotations

import asyncio
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.app.errors import Refused, response
from serving.app.rate import Rate
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
        except Refused as refused:
            if not begun:
                await response(refused)(scope, receive, send)

    async def _api(self, scope: Scope, arriving: _Arriving, send: Send) -> None:
        limits = self._settings.limits
        if self._under_way >= limits.concurrent:
            raise Refused("busy", f"{self._under_way} requests are under way: come back in a second", again=1)
        self._under_way += 1
        try:
            async with asyncio.timeout(limits.seconds):
                await self._app(scope, arriving, send)
        except TimeoutError:
            if arriving.whole:
                late = f"no answer within {limits.seconds:g} s: ask for less at once"
                raise Refused("late", late) from None
            slow = f"the request did not arrive within {limits.seconds:g} s: send less, or send it faster"
            raise Refused("too_slow", slow) from None
        finally:
            self._under_way -= 1

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _name(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            raise Refused("forbidden", f"this gateway is not '{host[:80]}': see --allow-host")
        if not scope["path"].startswith(API):
            return
        origin = headers.get("origin")
        if origin and scope["method"] != "GET" and urlsplit(origin).netloc != headers.get("host"):
            raise Refused("forbidden", "another site's page sent this request: only the gateway's own may")
        client = scope.get("client")
        wait = self._rate.wait(client[0] if client else "")
        if wait:
            raise Refused("too_many", f"too many requests: come back in {max(wait, 0.1):.1f} s", again=wait)
        self._check_key(headers.get("authorization", ""))
        limit = self._settings.limits.body
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise Refused("too_large", _too_large(limit))

    def _check_key(self, given: str) -> None:
        if (key := self._settings.key) is None:
            return
        kind, _, word = given.partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(word.strip().encode(), key.encode()):
            raise Refused("unauthorized", "an API key is wanted: send 'Authorization: Bearer KEY'")


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
                raise Refused("too_large", _too_large(self._limit))
        return message


def _too_large(limit: int) -> str:
    return f"the request has more than {limit / (1 << 20):g} MiB: make the picture smaller"


def _name(host: str) -> str:
    """Of a Host header, without the port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
