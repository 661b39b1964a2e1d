"""Examines a batch in the inbox: whether it is complete, which files belong to it, and its content digest.

`flows.clone.inbox` uses it before and while it takes a batch. A batch is a folder as `digits.ingest.batches`
reads it, or a single `.npz` file. Nothing announces the end of a copy, so a batch counts as complete when
nothing in it was written for some seconds; to have it taken at once, or after a copy with long pauses, put an
empty file `.complete` into the folder last. Names that begin with a dot are not part of a batch, and names
that copying programs give to partial files keep it waiting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from digits.runtime.errors import DigitsError

QUIET = 30.0  # seconds without a write
MARK = ".complete"
PARTIAL_SUFFIXES = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp")


class BatchError(DigitsError):
    """A batch can't be taken as it is."""


class BatchArriving(BatchError):
    """A batch changed while it was read, so it is left for the next run."""


def is_batch(path: Path) -> bool:
    """Whether an entry of an inbox is a batch, complete or not."""
    if path.name.startswith(".") or path.is_symlink():
        return False
    return path.is_dir() or (path.is_file() and path.suffix == ".npz")


def is_complete(batch: Path, now: float, still: float = QUIET) -> bool:
    """Whether all of a batch is there; a folder without a file never is.

    now: seconds since the epoch. still: seconds without a write.
    """
    try:
        if (batch / MARK).is_file():
            return True
        inside = list(batch.rglob("*"))
        # The change time, since `cp -p` sets the modification time. After a clock was set back it is ahead.
        ages = [abs(now - path.lstat().st_ctime) for path in (batch, *inside)]
    except OSError:  # renamed or removed meanwhile, or not readable yet
        return False
    if any(path.name.endswith(PARTIAL_SUFFIXES) for path in (batch, *inside)) or min(ages) < still:
        return False
    return batch.is_file() or any(not path.is_dir() and not path.name.startswith(".") for path in inside)


def contents(batch: Path, *, links: bool = False) -> dict[str, Path]:
    """The files of a batch, by their paths in it.

    links: whether a link counts as the file it leads to; True only in the clone, where DVC made the links.
    Raises BatchError when the batch holds no file, or something that is neither a file nor a folder.
    """
    if batch.is_file() and not batch.is_symlink():
        return {batch.name: batch}
    files = {path.relative_to(batch).as_posix(): path for path in _files(batch, links)}
    if not files:
        raise BatchError(f"batch {batch} contains no file: fill it or remove it")
    return dict(sorted(files.items()))


def fingerprint(files: Mapping[str, Path]) -> list[tuple[str, int, int]]:
    """Names, sizes and change times: equal before and after reading if nothing wrote in between."""
    try:
        stats = [(name, path.lstat()) for name, path in files.items()]
    except FileNotFoundError as error:
        raise BatchArriving(
            f"{error.filename} disappeared while its batch was read: the next run looks again"
        ) from None
    return [(name, status.st_size, status.st_ctime_ns) for name, status in stats]


def digest(files: Mapping[str, Path]) -> str:
    """The content digest that DVC gives a folder with these files: equal for equal names and bytes."""
    entries = [{"md5": _md5(path), "relpath": name} for name, path in sorted(files.items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return f"{hashlib.md5(listing, usedforsecurity=False).hexdigest()}.dir"


def _files(folder: Path, links: bool) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry, links)
        elif entry.is_file() and (links or not entry.is_symlink()):
            yield entry
        else:
            raise BatchError(f"{entry} is neither a file nor a folder: replace it by the file itself")


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> BatchError:
    if isinstance(error, FileNotFoundError):
        return BatchArriving(f"{path} disappeared while its batch was read: the next run looks again")
    return BatchError(f"{path} can't be read: {error.strerror}")
