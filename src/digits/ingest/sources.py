"""Where the four files of the data set come from: directories and web addresses, in order.

`DIGITS_MIRROR` (a directory or a base URL: http, https or file) goes first, then `ingest.sources`. A file is
taken as `<name>.gz` or `<name>`, under the other names that it has in common downloads, and in a directory
under any name, but only if its decompressed bytes have the digest that params.yaml states.

A download is tried again only after what a network can recover from: no byte for a while, a connection cut,
429 and 5xx; as often, and after such waits, as urllib3's `Retry` says, a server's Retry-After among them. Its
adapter for requests would do the same up to the headers, but not when a body is cut off. Anything else is
passed over at once: a name that does not resolve, a refused or unanswered connection, a bad certificate, any
other 4xx.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import os
import socket
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3.exceptions
from urllib3.util import Retry

from digits.runtime.addresses import shown
from digits.runtime.errors import DataError
from digits.runtime.params import IdxFile, IngestParams
from digits.runtime.progress import bar, say

T = TypeVar("T")

MAX_BYTES = 1 << 30  # no file of digits is larger; a server that never stops must not fill the memory
TRANSIENT = {429, 500, 502, 503, 504}
MOST_FILES = 64  # of a directory are looked at by content; MNIST has four, and a download folder thousands
LARGEST = 256 << 20  # bytes of such a file; MNIST's have 47 million at most, and all of it is read
BACK_OFF = 0.5  # seconds, doubled with each retry after the first, which waits for nothing
LONGEST_WAIT = 60  # seconds; a server may ask for more, but another source may answer at once


class Problem(Exception):
    """A source can't give a file; the text says why."""


class Unreachable(Problem):
    """The source did not answer."""


class Unusable(Problem):
    """The source answered, and what it holds is not the file."""


class _Transient(Unreachable):
    """Worth another try. answer: the response, where there was one."""

    def __init__(self, text: str, answer: urllib3.BaseHTTPResponse | None = None) -> None:
        super().__init__(text)
        self.answer = answer


@dataclass(frozen=True)
class Site:
    """A web address with files below it."""

    url: str
    connect_timeout: float  # seconds
    read_timeout: float  # seconds without a byte
    retries: int

    @property
    def name(self) -> str:
        """The address without secrets."""
        return shown(self.url)

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None when the site does not have it. Raises Problem."""
        retry = Retry(self.retries, backoff_factor=BACK_OFF, retry_after_max=LONGEST_WAIT)
        while True:
            try:
                return self._get(file)
            except _Transient as error:
                if not retry.total:
                    tried = f" ({self.retries + 1} times)" if self.retries else ""
                    raise Unreachable(f"{error}{tried}") from None
                retry = retry.increment(response=error.answer)
                try:
                    retry.sleep(error.answer)
                except urllib3.exceptions.InvalidHeader:  # a Retry-After that is neither seconds nor a date
                    retry.sleep()

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
        parts = urlsplit(self.url)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{file}").geturl()

    def _get(self, file: str) -> bytes | None:
        self._resolve()
        try:
            with requests.get(
                self._address(file),
                stream=True,
                timeout=(self.connect_timeout, self.read_timeout),
                headers={"Accept-Encoding": "identity"},
            ) as response:
                if response.status_code in TRANSIENT:
                    raise _Transient(f"it answers {response.status_code} {response.reason}", response.raw)
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
        return _Transient("it stops answering")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return _Transient("the transfer is cut off")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return Unusable("what it sends can't be decompressed")
    if isinstance(error, requests.exceptions.ConnectionError):
        if isinstance(cause, urllib3.exceptions.ProtocolError | urllib3.exceptions.ReadTimeoutError):
            return _Transient("the connection is cut")
        return Unreachable("it refuses the connection or can't be reached")
    return Unreachable(f"the request fails ({type(error).__name__})")  # its text may hold the address


MIRROR = "DIGITS_MIRROR"
PROBE = 3.0  # seconds that `available` waits at most
GZIP = b"\x1f\x8b"
IDX = b"\0\0\x08"


@dataclass(frozen=True)
class Folder:
    """A directory with files in it."""

    path: Path

    @property
    def name(self) -> str:
        """The directory; of what was meant as an address, without secrets."""
        return shown(str(self.path))

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None when it is not there. Raises Problem."""
        try:
            return (self.path / file).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not self.path.is_dir():
                raise Unusable("there is no such directory") from None
            return None
        except OSError as error:
            raise Unusable(f"{file} can't be read ({error.strerror})") from None

    def find(self, sha256: str) -> bytes | None:
        """The decompressed file with this digest, whatever its name, here or one folder down."""
        for path in itertools.islice(sorted([*self.path.glob("*"), *self.path.glob("*/*")]), MOST_FILES):
            with contextlib.suppress(OSError, Problem):
                if path.is_file() and path.stat().st_size <= LARGEST:
                    plain = _decompressed(path.read_bytes(), path.name)
                    if hashlib.sha256(plain).hexdigest() == sha256:
                        return plain
        return None


Place = Folder | Site


def fetch(params: IngestParams) -> tuple[dict[str, bytes] | None, list[str]]:
    """The decompressed files by their key in params.yaml, and for each source passed over, why.

    None in place of the files when no source gave them. Raises DataError when DIGITS_MIRROR answers with
    something else than the data set: who names a mirror wants that one, so nothing replaces it in silence.
    """
    found: dict[str, bytes] = {}
    passed_over: list[str] = []
    mirror = _mirror(params)
    for place in _places(params):
        try:
            for key, file in params.files.by_key().items():
                if key not in found:  # a digest makes a file from one source as good as from another
                    found[key] = _read(place, file)
            return found, passed_over
        except Problem as problem:
            if place == mirror and not isinstance(problem, Unreachable):
                raise DataError(
                    f"{MIRROR}={place.name}: {problem}: fix the mirror or unset {MIRROR}"
                ) from None
            passed_over.append(f"{place.name}: {problem}")
            say(f"ingest: source passed over: {passed_over[-1]}")
    return None, passed_over


def available(params: IngestParams) -> str | None:
    """The name of the first source that seems to hold the data set, or None; prints nothing, takes ≤ 3 s.

    A directory in DIGITS_MIRROR counts as it is: if it is wrong, ingest says so better than silence does.
    """
    places = _places(params)
    mirror = _mirror(params)
    answers: dict[int, bool] = {}

    def probe(number: int, place: Place) -> None:
        answers[number] = (place == mirror and isinstance(place, Folder)) or _seems_whole(place, params)

    def probe_all() -> bool:
        threads = [threading.Thread(target=probe, args=each, daemon=True) for each in enumerate(places)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return True

    within(PROBE, probe_all)
    return next((place.name for number, place in enumerate(places) if answers.get(number)), None)


def _seems_whole(place: Place, params: IngestParams) -> bool:
    if isinstance(place, Folder):
        return all(
            any((place.path / name).is_file() for name in _names(file)) or place.find(file.sha256)
            for file in params.files.by_key().values()
        )
    name = params.files.test_labels.name  # the smallest
    firsts = (place.answers(each, PROBE) or b"" for each in (f"{name}.gz", name))
    return any(first.startswith((GZIP, IDX)) for first in firsts)  # a captive portal answers with a page


def _mirror(params: IngestParams) -> Place | None:
    text = os.environ.get(MIRROR, "").strip()
    return _place(text, params) if text else None


def _places(params: IngestParams) -> list[Place]:
    mirror = _mirror(params)
    return ([mirror] if mirror else []) + [_place(text, params) for text in params.sources]


def _place(text: str, params: IngestParams) -> Place:
    text = text.strip()
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return Site(text, params.connect_timeout, params.read_timeout, params.retries)
        if parts.scheme == "file":
            return Folder(Path(url2pathname(parts.path)))
        address = parts.scheme in ("http", "https") or "://" in text
    except ValueError:  # a port that is no number, half an IPv6 address
        address = True
    if address:
        raise DataError(
            f"'{shown(text)}' is no source: expected a directory or an address http://, https:// or file://"
        )
    return Folder(Path(text).expanduser())


def _names(file: IdxFile) -> list[str]:
    """The paths that a file has in the copies of MNIST that are about, ours first."""
    dotted = file.name.replace("-idx", ".idx")
    plain = [file.name, dotted, f"{file.name}/{file.name}", f"{dotted}/{dotted}", f"{file.name}/{dotted}"]
    return [f"{name}{suffix}" for name in dict.fromkeys(plain) for suffix in (".gz", "")]


def _read(place: Place, file: IdxFile) -> bytes:
    for name in _names(file):
        if (data := place.read(name)) is not None:
            return _verified(data, name, file.sha256)
    if isinstance(place, Folder) and (plain := place.find(file.sha256)) is not None:
        return plain
    raise Unusable(f"it has neither {file.name}.gz nor {file.name}")


def _verified(data: bytes, name: str, sha256: str) -> bytes:
    plain = _decompressed(data, name)
    if plain[:256].lstrip().startswith(b"<"):
        raise Unusable(f"{name} is a web page, not data (a log-in page of the network?)")
    digest = hashlib.sha256(plain).hexdigest()
    if digest != sha256:
        raise Unusable(f"{name} has the sha256 {digest[:12]}…, expected {sha256[:12]}…")
    return plain


def _decompressed(data: bytes, name: str) -> bytes:
    if not data.startswith(GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Unusable(f"{name} is a truncated or damaged gzip file of {len(data)} bytes") from None
    if len(plain) > MAX_BYTES:
        raise Unusable(f"{name} decompresses to more than {MAX_BYTES >> 20} MiB")
    return plain
