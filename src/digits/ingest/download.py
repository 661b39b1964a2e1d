"""Shell helper: the bytes of a file at a web address, tried again only where a network can heal.

Healing: no byte for a while, a connection cut, 429 and 5xx. Not healing, so passed over at once: a name that
does not resolve, a refused or unanswered connection, a bad certificate, any other 4xx.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from digits.runtime.progress import bar

T = TypeVar("T")

MAX_BYTES = 1 << 30  # no file of digits is larger; a server that never stops must not fill the memory
HEALING = {429, 500, 502, 503, 504}
BACK_OFF = 0.5  # seconds before the first retry; doubled each time


class Problem(Exception):
    """A source can't give a file; the text says why."""


class Unreachable(Problem):
    """The source did not answer."""


class Unusable(Problem):
    """The source answered, and what it holds is not the file."""


class _Healing(Unreachable):
    """Worth another try."""


@dataclass(frozen=True)
class Site:
    """A web address with files below it."""

    url: str
    connect_timeout: float  # seconds
    read_timeout: float  # seconds without a byte
    retries: int

    @property
    def name(self) -> str:
        """The address without a password."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None when the site does not have it. Raises Problem."""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(BACK_OFF * 2 ** (attempt - 1))
            try:
                return self._get(file)
            except _Healing as error:
                last = error
        tried = f" ({self.retries + 1} times)" if self.retries else ""
        raise Unreachable(f"{last}{tried}")

    def answers(self, file: str, seconds: float) -> bytes | None:
        """The first four bytes of the file, or None when it does not come within that time; never raises."""

        def first_bytes() -> bytes | None:
            timeout = (min(seconds, self.connect_timeout), seconds)
            with requests.get(
                self._address(file), stream=True, timeout=timeout, headers={"Accept-Encoding": "identity"}
            ) as response:
                return next(response.iter_content(4), b"") if response.ok else None

        return within(seconds, first_bytes)

    def _address(self, file: str) -> str:
        return f"{self.url.rstrip('/')}/{file}"

    def _get(self, file: str) -> bytes | None:
        self._resolve()
        try:
            with requests.get(
                self._address(file),
                stream=True,
                timeout=(self.connect_timeout, self.read_timeout),
                headers={"Accept-Encoding": "identity"},
            ) as response:
                if response.status_code in HEALING:
                    raise _Healing(f"it answers {response.status_code} {response.reason}")
                if response.status_code in (
                    403,
                    404,
                    410,
                ):  # a store of objects says 403 for what is not there
                    return None
                if not response.ok:
                    raise Unusable(f"it answers {response.status_code} {response.reason}")
                return self._body(file, response)
        except requests.RequestException as error:
            raise _explain(error) from None

    def _body(self, file: str, response: requests.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        received = bytearray()
        with bar(
            f"{file} from {urlsplit(self.url).hostname}", int(length) if length.isdecimal() else None, "bytes"
        ) as advance:
            for chunk in response.iter_content(1 << 16):
                received += chunk
                advance(len(chunk))
                if len(received) > MAX_BYTES:
                    raise Unusable(f"{file} is longer than {MAX_BYTES >> 20} MiB")
        return bytes(received)

    def _resolve(self) -> None:
        """Look the name up within the connect time-out, which by itself does not bound it."""
        if requests.utils.get_environ_proxies(self.url):
            return  # the proxy looks it up
        parts = urlsplit(self.url)
        if not within(self.connect_timeout, lambda: socket.getaddrinfo(parts.hostname, parts.port or 443)):
            raise Unreachable("its name does not resolve")


def within(seconds: float, call: Callable[[], T]) -> T | None:
    """What the call returns, or None when it fails or takes longer; a late one is left to a daemon thread."""
    results: list[T] = []

    def target() -> None:
        try:
            results.append(call())
        except (OSError, ValueError):  # requests' errors are OSErrors
            return

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else None


def _explain(error: requests.RequestException) -> Problem:
    """The one place where errors of requests become ours."""
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return Unreachable("its certificate is not valid")
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable("the proxy does not let it through")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unreachable("it does not answer in time")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _Healing("it stops answering")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return _Healing("the transfer is cut off")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return Unusable("what it sends can't be decompressed")
    if isinstance(error, requests.exceptions.ConnectionError):
        if isinstance(cause, urllib3.exceptions.ProtocolError | urllib3.exceptions.ReadTimeoutError):
            return _Healing("the connection is cut")
        return Unreachable("it refuses the connection or can't be reached")
    return Unreachable(f"the request fails: {error}")
