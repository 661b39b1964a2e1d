"""The database of corrections: it waits for others, flushes what is committed, and starts a write as a write.

SQLite by `sqlite:///FILE` (four slashes for an absolute path), PostgreSQL by `postgresql://USER@HOST/NAME`.
What these and the disk refuse becomes an error of the store that says what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from digits.runtime.addresses import shown
from digits.runtime.errors import ParamsError, StoreError

READING = "digits_reading"  # execution option of a transaction that only looks
AGAIN = 0.05  # seconds between two tries to change the journal
CONNECTIONS = 4  # to PostgreSQL, from one process

# Committed means on disk, a power cut after it changes nothing; what is deleted is overwritten with zeros.
SETTINGS = ("PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON")


def parsed(url: str) -> URL:
    """With the driver that is used here. Raises ParamsError when it names no such database."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        found = None
    if found is not None and found.drivername == "sqlite" and found.database not in (None, "", ":memory:"):
        return found.set(drivername="sqlite+aiosqlite")
    if found is not None and found.drivername in ("postgresql", "postgres") and found.database:
        return found.set(drivername="postgresql+asyncpg")
    raise ParamsError(
        f"'{shown(url)}' is no place for corrections; expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    )


def file_of(url: URL) -> Path | None:
    """The file of SQLite; None of a server."""
    return Path(url.database) if url.drivername.startswith("sqlite") and url.database else None


def engine(url: URL, patience: float) -> AsyncEngine:
    """Nothing is opened yet. patience: seconds to wait for others, or for a server's answer."""
    if file_of(url) is None:
        return create_async_engine(
            url,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=patience,
            pool_pre_ping=True,  # a server that was restarted is asked anew
            connect_args={"timeout": patience, "command_timeout": patience},
        )
    # One connection: SQLite has one writer at a time, and those of one process queue better here than there.
    made = create_async_engine(
        url, pool_size=1, max_overflow=0, pool_timeout=patience, connect_args={"timeout": patience}
    )
    event.listen(made.sync_engine, "connect", _set)
    event.listen(made.sync_engine, "begin", _begin)
    return made


async def prepare(made: AsyncEngine, patience: float) -> None:
    """Make SQLite's file, readable by its owner alone, and have it keep its changes in a log beside it."""
    file = file_of(made.url)
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    end = time.monotonic() + patience
    while True:
        try:
            async with made.connect() as connection:
                await connection.run_sync(_write_ahead)
            return
        except OperationalError as error:
            # While others start too, this one change is refused at once and not waited for.
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() >= end:
                raise
        await asyncio.sleep(AGAIN)


def _write_ahead(connection: Connection) -> None:
    raw = connection.connection.cursor()  # outside of a transaction, where alone this can be changed
    try:
        raw.execute("PRAGMA journal_mode")
        if (raw.fetchone() or ("",))[0] != "wal":
            raw.execute("PRAGMA journal_mode=WAL")
    finally:
        raw.close()


def _set(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where sqlite3 guesses
    cursor = connection.cursor()
    try:
        for setting in SETTINGS:
            cursor.execute(setting)
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
    """What will write takes the lock before it reads: it would else be refused, not made to wait."""
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LITTLE = 1 << 20  # bytes free on a disk: below it an input or output error is taken for a full disk
PRIMARY = 0xFF  # SQLite's extended codes carry the primary one in the lowest byte


class StoreBusy(StoreError):
    """The store can't be had at the moment: the same again, a little later, may do."""


class StoreFull(StoreError):
    """Nothing more can be kept before somebody makes room."""


@contextlib.contextmanager
def translate_errors(store: str, file: Path | None) -> Iterator[None]:
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
