"""What SQLite, PostgreSQL and the disk refuse → an error of the store that says what to do. Shell."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from digits.runtime.errors import StoreError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LITTLE = 1 << 20  # bytes free on a disk: below it an input or output error is taken for a full disk
PRIMARY = 0xFF  # SQLite's extended codes carry the primary one in the lowest byte


class StoreBusy(StoreError):
    """The store can't be had at the moment: the same again, a little later, may do."""


class StoreFull(StoreError):
    """Nothing more can be kept before somebody makes room."""


@contextlib.contextmanager
def told(store: str, file: Path | None) -> Iterator[None]:
    """Turn what a database refuses into StoreError, StoreBusy or StoreFull. file: of SQLite."""
    try:
        yield
    except StoreError:
        raise
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise (_of_sqlite(file, error) if file else _of_postgresql(store, error)) from error
    except Exception as error:
        if getattr(error, "sqlstate", None) is None and type(error).__module__.split(".")[0] != "asyncpg":
            raise
        raise _of_postgresql(store, error) from error  # what asyncpg raises while it connects


def _of_sqlite(file: Path, error: Exception) -> StoreError:
    cause = getattr(error, "orig", None) or error
    if isinstance(error, PoolTimeout):
        return StoreBusy(f"the corrections in {file} are written to by others: try again in a moment")
    if isinstance(cause, OSError):
        if cause.errno in NO_SPACE:
            return _full(file)
        return StoreError(f"{file} can't be read or written ({cause.strerror}): run this as its owner")
    extended = getattr(cause, "sqlite_errorcode", 0) or 0
    code = extended & PRIMARY
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"another program holds {file}: try again in a moment")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _no_room(file)):
        return _full(file)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"{file} is damaged ({cause}): move it away and a new one is made; "
            f"`sqlite3 {file} .recover` gets back what can be"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"{file} can't be read or written ({cause}): run this as its owner")
    return StoreError(f"{file}: {' '.join(str(cause).split())}")


def _full(file: Path) -> StoreFull:
    return StoreFull(f"the disk of {file} is full: free some, then send the correction again")


def _no_room(file: Path) -> bool:
    try:
        return shutil.disk_usage(file.parent).free < LITTLE
    except OSError:
        return False


def _of_postgresql(store: str, error: Exception) -> StoreError:
    """By the class of the SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    said = " ".join(str(cause).split()) or type(cause).__name__
    said = said.rpartition("'>: ")[2]  # SQLAlchemy puts the class in front
    if state == "53100":
        return StoreFull(f"the disk of {store} is full: free some, then send the correction again")
    if state[:2] in ("28", "3D"):  # who, which database
        return StoreError(f"{store} does not let us in ({said}): fix the address")
    if state[:2] in ("08", "40", "53", "55", "57") or isinstance(error, PoolTimeout | OSError | TimeoutError):
        return StoreBusy(f"{store} does not answer ({said}): start it, or try again in a moment")
    if not state and type(cause).__name__ in ("InterfaceError", "ConnectionDoesNotExistError"):
        return StoreBusy(f"{store} does not answer ({said}): start it, or try again in a moment")
    return StoreError(f"{store}: {said}")
