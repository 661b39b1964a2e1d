"""What lies in an inbox: whether a batch has arrived whole, which files belong to it, and its content digest.

A batch is a folder as `digits.ingest.batches` reads it, or a single `.npz` file. Nobody says when a copy is
done, so a batch counts as whole when nothing in it was written for some seconds; to have it taken at once, or
after a copy with long pauses, put an empty file `.complete` into the folder last. Names that begin with a dot
are not part of a batch, and names that copying programs give to unfinished files keep it waiting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from digits.runtime.errors import DigitsError

STILL = 30.0  # seconds without a write
MARK = ".complete"
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp")


class BatchError(DigitsError):
    """A batch can't be taken as it is."""


class BatchArriving(BatchError):
    """A batch changed while it was read: leave it for the next run."""


def is_batch(path: Path) -> bool:
    """Whether a thing in an inbox is one, complete or not."""
    if path.name.startswith(".") or path.is_symlink():
        return False
    return path.is_dir() or (path.is_file() and path.suffix == ".npz")


def arrived(batch: Path, now: float, still: float = STILL) -> bool:
    """Whether all of a batch is there. now: seconds since the epoch. A folder without a file never is."""
    try:
        if (batch / MARK).is_file():
            return True
        inside = list(batch.rglob("*"))
        # The change time: `cp -p` can't set it back as it does the other. Where the clock was, it lies ahead.
        ages = [abs(now - path.lstat().st_ctime) for path in (batch, *inside)]
    except OSError:  # renamed or removed while we looked, or not to be read yet
        return False
    if any(path.name.endswith(UNFINISHED) for path in (batch, *inside)) or min(ages) < still:
        return False
    return batch.is_file() or any(not path.is_dir() and not path.name.startswith(".") for path in inside)


def contents(batch: Path, *, links: bool = False) -> dict[str, Path]:
    """Path in the batch → file. Raises BatchError when it holds no file, or what is neither file nor folder.

    links: whether a link counts as the file that it leads to: where DVC put it there, not where others did.
    """
    if batch.is_file() and not batch.is_symlink():
        return {batch.name: batch}
    found = {path.relative_to(batch).as_posix(): path for path in _files(batch, links)}
    if not found:
        raise BatchError(f"batch {batch} holds no file: fill it or take it away")
    return dict(sorted(found.items()))


def fingerprint(found: Mapping[str, Path]) -> list[tuple[str, int, int]]:
    """Sizes and change times: equal before and after reading when nobody wrote in between."""
    try:
        stats = [(name, path.lstat()) for name, path in found.items()]
    except FileNotFoundError as error:
        raise BatchArriving(
            f"{error.filename} went away while its batch was read: it is looked at again"
        ) from None
    return [(name, status.st_size, status.st_ctime_ns) for name, status in stats]


def digest(found: Mapping[str, Path]) -> str:
    """The content digest that DVC gives a folder with these files: equal for equal names and bytes."""
    entries = [{"md5": _md5(path), "relpath": name} for name, path in sorted(found.items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return f"{hashlib.md5(listing, usedforsecurity=False).hexdigest()}.dir"


def _files(folder: Path, links: bool) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
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
            raise BatchError(f"{entry} is neither a file nor a folder: put the file itself there")


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> BatchError:
    if isinstance(error, FileNotFoundError):
        return BatchArriving(f"{path} went away while its batch was read: the next run looks again")
    return BatchError(f"{path} can't be read: {error.strerror}")
