"""Examines a batch in the inbox: whether it is complete, which files belong to it, and its content digest.

`flows.clone.inbox` uses it before and while it takes a batch. A batch is a folder as `digits.ingest.batches`
reads it, or a single `.npz` file. Nothing announces the end of a copy, so a batch counts as complete when
nothing in it was written for some seconds; to have it taken at once, or after a copy with long pauses, put an
empty file `.complete` into the folder last. Names that begin with a dot are not part of a batch, and names
that copying programs give to partial files keep it waiting.

Anything may lie in an inbox: folders without end, names that no program can print, files that DVC takes for
its own. Nothing here follows a link, opens what is no file, or recurses.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from digits.runtime.errors import DigitsError

QUIET = 30.0  # seconds without a write
MARK = ".complete"
DEPTH = 16  # folders inside each other; paths of thousands can't be opened, and nobody sorts pictures so
DVC_FILES = ("dvc.yaml", "dvc.lock", "Dvcfile")  # DVC reads them, and *.dvc, wherever they are
PARTIAL_SUFFIXES = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp")


class BatchError(DigitsError):
    """A batch can't be taken as it is."""


@dataclass(frozen=True)
class Limits:
    """What a batch may have: files, folders included, and bytes of all files together."""

    files: int
    size: int


class BatchArriving(BatchError):
    """A batch changed while it was read, so it is left for the next run."""


def is_batch(path: Path) -> bool:
    """Whether an entry of an inbox is a batch, complete or not."""
    if path.name.startswith(".") or path.is_symlink():
        return False
    return path.is_dir() or (_is_file(path) and path.suffix == ".npz")


def is_complete(batch: Path, now: float, still: float = QUIET) -> bool:
    """Whether all of a batch is there; a folder without a file never is.

    now: seconds since the epoch. still: seconds without a write.
    """
    try:
        if _is_file(batch / MARK):
            return True
        entries = [(batch, batch.lstat()), *_inside(batch)]
    except OSError:  # renamed or removed meanwhile
        return False
    # The change time, since `cp -p` sets the modification time. After a clock was set back it is ahead.
    if any(abs(now - status.st_ctime) < still for _, status in entries):
        return False
    if any(path.name.endswith(PARTIAL_SUFFIXES) for path, _ in entries):
        return False
    return any(not path.name.startswith(".") and not _is_open(path, status) for path, status in entries)


def contents(batch: Path, limits: Limits | None) -> dict[str, Path]:
    """The files of a batch, by their paths in it.

    limits: None for a copy of ours, which has no limits, any names, and in the clone DVC's links for files.
    Raises BatchError when the batch holds no file, or something that is neither a file nor a folder, or more
    than the limits, or a name that can't be used.
    """
    found = {batch.name: batch} if _is_file(batch) else dict(_files(batch, limits))
    if not found:
        raise BatchError(f"batch {batch} contains no file: fill it or remove it")
    with _readable(batch):
        size = sum(path.stat().st_size for path in found.values())
    if limits and size > limits.size:
        raise BatchError(
            f"batch {batch} has {size / (1 << 20):,.1f} MiB, expected at most {limits.size / (1 << 20):,g}: "
            "split it, or raise ingest.batch_mib"
        )
    return dict(sorted(found.items()))


def fingerprint(files: Mapping[str, Path]) -> list[tuple[str, int, int]]:
    """Names, sizes and change times: equal before and after reading if nothing wrote in between."""
    with _readable(Path()):
        stats = [(name, path.lstat()) for name, path in files.items()]
    return [(name, status.st_size, status.st_ctime_ns) for name, status in stats]


def digest(files: Mapping[str, Path]) -> str:
    """The content digest that DVC gives a folder with these files: equal for equal names and bytes."""
    entries = [{"md5": _md5(path), "relpath": name} for name, path in sorted(files.items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return f"{hashlib.md5(listing, usedforsecurity=False).hexdigest()}.dir"


def _inside(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All that is below a folder and can be looked at; links are not followed."""
    folders = [folder] if folder.is_dir() else []
    while folders:
        # what can't be looked into is refused, with the reason, when it is taken
        with contextlib.suppress(PermissionError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                path, status = Path(entry.path), entry.stat(follow_symlinks=False)
                yield path, status
                if stat.S_ISDIR(status.st_mode) and _depth(path, folder) < DEPTH:
                    folders.append(path)


def _is_open(path: Path, status: os.stat_result) -> bool:
    """Whether an entry is a folder that can be looked into."""
    return stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK | os.X_OK)


def _files(batch: Path, limits: Limits | None) -> Iterator[tuple[str, Path]]:
    """The files below a folder that are not hidden, with their paths in it."""
    folders, seen = [batch], 0
    while folders:
        folder = folders.pop()
        with _readable(folder), os.scandir(folder) as entries:
            for entry in entries:
                path, seen = folder / entry.name, seen + 1
                if limits and seen > limits.files:
                    raise BatchError(
                        f"batch {batch} has more than {limits.files:,} files and folders: split it, "
                        "or raise ingest.batch_files"
                    )
                if entry.name.startswith("."):
                    continue
                if limits and (fault := _fault(path, batch)):
                    raise BatchError(f"{printable(str(path))} {fault}")
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=limits is None):
                    yield path.relative_to(batch).as_posix(), path
                else:
                    raise BatchError(f"{path} is neither a file nor a folder: replace it by the file itself")


def _fault(path: Path, batch: Path) -> str:
    """Why a batch can't have something of this name at this place; empty if it can."""
    if path.name in DVC_FILES or path.suffix == ".dvc":
        return "is a file that DVC takes for its own: remove it or rename it"
    if _depth(path, batch) > DEPTH:
        return f"is more than {DEPTH} folders deep: put it higher up"
    return "" if printable(path.name) == path.name else "has control characters or is not UTF-8: rename it"


def printable(text: str) -> str:
    """A text with escapes in place of control characters and of bytes that are no UTF-8."""
    odd = ("Cc", "Cs")
    return "".join(c.encode("unicode_escape").decode() if category(c) in odd else c for c in text)


def _depth(path: Path, batch: Path) -> int:
    return len(path.parts) - len(batch.parts)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _md5(path: Path) -> str:
    with _readable(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into BatchError."""
    try:
        yield
    except FileNotFoundError as error:
        raise BatchArriving(
            f"{error.filename} disappeared while its batch was read: the next run looks again"
        ) from None
    except OSError as error:
        raise BatchError(f"{error.filename or path} can't be read: {error.strerror}") from None
