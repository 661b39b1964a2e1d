"""Finds the files of a pile, here and in object stores, and fetches their bytes.

A source is a file, a folder (with those below it), a glob, `@list` with one of these a line, or an address
such as `s3://bucket/folder` (fsspec). Files come one by one and in an order that does not change, so that a
pile of any size takes no memory; only a single folder's listing is held.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.runtime.addresses import shown
from digits.runtime.errors import DataError, ParamsError
from digits_client.reading.opening import SUFFIXES

TAKEN = (*SUFFIXES, ".pdf")  # of the files in a folder
MOST_BYTES = 256 << 20  # of a file, which a worker holds in memory
TRIES = 3  # to fetch a file from an object store …
PAUSE = 1.0  # … and seconds between the first two
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "azure", "abfs": "azure"}


@dataclass(frozen=True, slots=True)
class Input:
    """A file of a pile, by the name that its source gives it. stamp: changes when its content does."""

    name: str
    size: int
    stamp: str


class UnreadableError(Exception):
    """A file can't be fetched; the text is the reason."""


def is_remote(name: str) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in name


def check(sources: Sequence[str], base: Path) -> None:
    """Raise ParamsError for a source that is not there, or that nothing installed can open."""
    for source in sources:
        if is_remote(source):
            _remote(source)
            continue
        path = base / source.removeprefix("@")
        if source.startswith("@"):
            if not path.is_file():
                raise ParamsError(f"{source}: no such list: expected a text file with one file a line")
        elif not path.exists() and not glob.has_magic(source):
            raise ParamsError(f"{source}: no such file or folder: expected scans, a folder, a glob or @LIST")


def inputs(sources: Sequence[str], base: Path) -> Iterator[Input]:
    """Yield the files of the sources. base: the folder that relative paths begin at.

    A file that a list names and that is not there is yielded too: reading it will tell. Raises DataError for
    a folder that can't be listed.
    """
    for source in sources:
        if not source.startswith("@"):
            yield from _expanded(source, base, listed=False)
            continue
        try:
            with (base / source[1:]).open(encoding="utf-8-sig") as lines:
                for line in filter(None, map(str.strip, lines)):
                    yield from _expanded(line, base, listed=True)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{source}: can't be read ({_reason(error)}): expected UTF-8 text") from None


def content(name: str, base: Path) -> bytes:
    """Fetch a file. Raises UnreadableError, for one of more than MOST_BYTES too."""
    pause = PAUSE
    for attempt in range(TRIES):
        try:
            data = _fetched(name) if is_remote(name) else _local(base / name)
            break
        except Exception as error:  # fsspec raises what the store's library does
            lasting = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
            if lasting or not is_remote(name) or attempt == TRIES - 1:
                raise UnreadableError(f"can't be fetched ({_reason(error)})") from None
            time.sleep(pause)
            pause *= 2
    if len(data) > MOST_BYTES:
        raise UnreadableError(f"has more than {MOST_BYTES >> 20} MiB: split it into files of fewer pages")
    return data


def _local(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _fetched(name: str) -> bytes:
    system, path = _remote(name)
    data: bytes = system.cat_file(path, start=0, end=MOST_BYTES + 1)
    return data


def _expanded(source: str, base: Path, *, listed: bool) -> Iterator[Input]:
    if is_remote(source):
        # a list may have millions of lines: each is taken at its word, rather than asked about
        yield from [Input(source, 0, "")] if listed and not glob.has_magic(source) else _stored(source)
    elif (base / source).is_dir():
        yield from _walk(source, base)
    elif glob.has_magic(source) and not (base / source).exists():
        found = glob.glob(source, root_dir=base, recursive=True)  # noqa: PTH207 - a Path takes no absolute one
        for name in sorted(found):
            yield from _walk(name, base) if (base / name).is_dir() else [_one(name, base)]
    else:
        yield _one(source, base)


def _one(name: str, base: Path) -> Input:
    try:
        found = (base / name).stat()
    except OSError:
        return Input(name, 0, "")
    return Input(name, found.st_size, str(found.st_mtime_ns))


def _walk(folder: str, base: Path) -> Iterator[Input]:
    """Yield the scans of a folder by name, then those of the folders in it, but not of links to folders."""
    try:
        with os.scandir(base / folder) as entries:
            own = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: can't be listed ({_reason(error)})") from None
    for entry in own:
        if entry.name.lower().endswith(TAKEN) and not entry.is_dir():
            yield _one(os.path.join(folder, entry.name), base)  # noqa: PTH118 - a Path would tidy the name
    for entry in own:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(os.path.join(folder, entry.name), base)  # noqa: PTH118


def _remote(source: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. Raises ParamsError where nothing opens it."""
    import fsspec

    scheme = source.partition("://")[0]
    try:
        # without a cache of listings, which would hold all folders
        system, path = fsspec.core.url_to_fs(source, use_listings_cache=False)
    except ImportError:
        extra = EXTRAS.get(scheme)
        hint = f"make setup EXTRAS={extra}" if extra else "install the library that fsspec names for it"
        raise ParamsError(f"{shown(source)}: nothing installed opens {scheme}:// addresses: {hint}") from None
    except ValueError:
        raise ParamsError(f"{shown(source)}: unknown kind of address: expected s3:// or gs://") from None
    return system, path


def _stored(source: str) -> Iterator[Input]:
    system, path = _remote(source)
    try:
        if glob.has_magic(path):
            found = system.glob(path, detail=True)
            yield from (_object(system, found[name]) for name in sorted(found) if _is_file(found[name]))
            return
        about = system.info(path)
        if _is_file(about):
            yield _object(system, about)
            return
        for _, _, own in system.walk(path, detail=True):
            for name in sorted(own):
                if name.lower().endswith(TAKEN):
                    yield _object(system, own[name])
    except Exception as error:  # the store's library has errors of its own
        raise DataError(
            f"{shown(source)}: can't be listed ({_reason(error)}): check the address and the credentials"
        ) from None


def _is_file(about: dict[str, Any]) -> bool:
    return bool(about["type"] == "file")


def _object(system: Any, about: dict[str, Any]) -> Input:
    stamps = (about.get(key) for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created"))
    stamp = next(filter(None, stamps), "")
    return Input(system.unstrip_protocol(about["name"]), int(about.get("size") or 0), str(stamp))


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]
