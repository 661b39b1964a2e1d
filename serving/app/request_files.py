"""SQLite files of requests, of bounded size: the one written now, and full ones. Shell.

requests.db          written now
requests-<n>.db      full ones, the highest number the newest; the oldest is deleted
requests.db.damaged  one that could not be read any more: the last such
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

LOG = logging.getLogger("digits-app")
NOW = "requests.db"
FORMAT = 1  # of the table, in a file's user_version
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
PRIMARY = 0xFF  # SQLite's extended codes carry the primary one in the lowest byte
PATIENCE = 0.5  # seconds to wait for somebody who reads

TABLE = (
    "CREATE TABLE requests (at REAL NOT NULL, route TEXT NOT NULL, status INTEGER NOT NULL, "
    "digest TEXT NOT NULL, digit INTEGER, confidence REAL, accepted INTEGER, version INTEGER, "
    "latency REAL NOT NULL, image BLOB)"
)
INSERT = "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Values = tuple[object, ...]  # in the order of the table's columns


class RequestFiles:
    """The files of a folder, for one thread of one process."""

    def __init__(self, folder: Path, max_bytes: int, files: int) -> None:
        """max_bytes: of all together; files: how many, with the one that is written."""
        self._folder, self._path = folder, folder / NOW
        self._share, self._older = max(max_bytes // max(files, 1), 1), max(files - 1, 0)
        self._database: sqlite3.Connection | None = None

    def write(self, rows: Sequence[Values]) -> None:
        """Add rows, all or none. Raises OSError or sqlite3.Error when the disk refuses; try again later."""
        try:
            database = self._database = self._database or self._opened()
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(INSERT, rows)
            pages, size = (
                database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
            )
            if pages * size >= self._share:
                self.close()
                self._set_aside()
        except sqlite3.Error as error:
            self.close()
            if (getattr(error, "sqlite_errorcode", None) or 0) & PRIMARY in DAMAGED:
                self._put_away()
            raise

    def close(self) -> None:
        """Let go of the present file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _opened(self) -> sqlite3.Connection:
        """The present file, made where there is none. One of another form is set aside as if it were full."""
        if self._path.exists():
            database = self._connected()
            if database.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                return database
            self.close()
            self._set_aside()
        self._make()
        return self._connected()

    def _connected(self) -> sqlite3.Connection:
        self._database = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        return self._database

    def _make(self) -> None:
        """A file appears with its table, so that whoever reads never meets an empty one."""
        new = self._folder / f".{NOW}.new"
        for left in (new, new.with_name(f"{new.name}-journal")):  # of a process that was killed
            left.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(new)) as database:
            database.execute(TABLE)
            database.execute(f"PRAGMA user_version={FORMAT}")
        new.rename(self._path)

    def _set_aside(self) -> None:
        """The present file becomes the newest of the full ones; the oldest of too many go."""
        full = self._full()
        number = full[-1][0] + 1 if full else 1
        self._path.rename(self._folder / f"requests-{number}.db")
        full = self._full()
        for _, path in full[: max(len(full) - self._older, 0)]:
            path.unlink(missing_ok=True)

    def _full(self) -> list[tuple[int, Path]]:
        """Number and path, the oldest first."""
        named = [(path.stem.removeprefix("requests-"), path) for path in self._folder.glob("requests-*.db")]
        return sorted((int(number), path) for number, path in named if number.isdecimal())

    def _put_away(self) -> None:
        """A damaged file makes room for a new one."""
        aside = self._path.with_name(f"{NOW}.damaged")
        self._path.replace(aside)
        self._path.with_name(f"{NOW}-journal").unlink(missing_ok=True)
        LOG.warning("request log %s was damaged: it is now %s, a new one is begun", self._path, aside.name)
