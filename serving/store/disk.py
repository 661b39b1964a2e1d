"""Writes directories that appear complete, never change, and survive a power cut. The store uses it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from digits import files
from digits.runtime import locks
from digits.runtime.errors import StoreError

PATIENCE = 60.0  # seconds to wait for another command; each holds the store for much less than one


def sync(path: Path) -> None:
    """Flush a file or a directory's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(directory: Path) -> None:
    """Flush everything below a directory and make it read-only."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        sync(path)
        if path.is_dir():
            path.chmod(0o555)
    sync(directory)
    directory.chmod(0o555)


def copy(source: Path, target: Path, listed: Mapping[str, str]) -> None:
    """Copy files. listed: path to sha256. Raises StoreError when the bytes read or written don't match it."""
    for name, digest in listed.items():
        data = (source / name).read_bytes()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
        if hashlib.sha256(data).hexdigest() != digest or files.file_sha256(target / name) != digest:
            raise StoreError(f"{source / name} changed while it was copied: run `digits publish` again")


def delete(directory: Path) -> None:
    """Remove a directory, sealed or not; it need not exist."""
    for path in (directory, *directory.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def lock(root: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the store exclusively; the kernel releases the lock however this process ends.

    Between machines that works only if the shared disk supports flock (NFS 4 does, some others do not).
    Raises StoreError when another command holds the store for longer than `patience` seconds.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locks.hold(
        root / ".lock",
        lambda holder: StoreError(
            f"process {holder} has held {root} for over {patience:g} s: wait for it, or stop it"
        ),
        patience,
    ):
        yield


@contextlib.contextmanager
def plain_errors(root: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            said = (
                f"the disk is full{where}: free space and run the same command again; nothing is half-written"
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            said = f"{root} can't be read or written{where}: run this as its owner, or mount it writable"
        else:
            said = f"{error.strerror or error}{where}: fix it and run the same command again"
        raise StoreError(said) from error
