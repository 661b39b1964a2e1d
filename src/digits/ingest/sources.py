"""Shell helper: where the four files of the data set come from. Directories and web addresses, in order.

`DIGITS_MIRROR` (a directory or a base URL: http, https or file) goes first, then `ingest.sources`. A file is
taken as `<name>.gz` or `<name>`, and only if its decompressed bytes have the digest that params.yaml states.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from digits.ingest.download import MAX_BYTES, Problem, Site, Unreachable, Unusable, within
from digits.runtime.errors import DataError
from digits.runtime.params import IdxFile, IngestParams
from digits.runtime.progress import say

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
        """The directory."""
        return str(self.path)

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None when it is not there. Raises Problem."""
        try:
            return (self.path / file).read_bytes()
        except FileNotFoundError:
            if not self.path.is_dir():
                raise Unusable("there is no such directory") from None
            return None
        except OSError as error:
            raise Unusable(f"{file} can't be read ({error.strerror})") from None


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
                    f"{MIRROR}={place.name}: {problem}: mend the mirror or unset {MIRROR}"
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
    names = [(f"{file.name}.gz", file.name) for file in params.files.by_key().values()]
    if isinstance(place, Folder):
        return all(any((place.path / name).is_file() for name in pair) for pair in names)
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
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.hostname:
        return Site(text, params.connect_timeout, params.read_timeout, params.retries)
    if parts.scheme == "file":
        return Folder(Path(url2pathname(parts.path)))
    if "://" in text:
        raise DataError(
            f"'{text}' is no source: expected a directory or an address http://, https:// or file://"
        )
    return Folder(Path(text).expanduser())


def _read(place: Place, file: IdxFile) -> bytes:
    for name in (f"{file.name}.gz", file.name):
        if (data := place.read(name)) is not None:
            return _verified(data, name, file.sha256)
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
