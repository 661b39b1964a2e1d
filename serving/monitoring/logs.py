"""Reads the request logs of gateways and embedded servers, while these write them, as one table.

A row is an image, a line, or a request that failed:

    at           seconds since 1970
    source       gateway or server
    route        the gateway's route, or the server's signature
    kind         digit: 28 × 28 pixels; picture: a digit's file; line; "": a request that failed
    status       of HTTP
    digest       SHA-256 of what the client sent: the image, or the photo that a line is from
    digit        NaN for a line and for a request that failed
    confidence, accepted, version, latency
    low … stroke digits.facts.FACTS of what the client sent; NaN where they were not made
    image        bytes where images are kept, else None: 28 × 28 bytes, or a file
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pandas as pd

from digits.facts import FACTS
from serving.app import request_log
from serving.app.request_log import NOW
from serving.monitoring.facts import PICTURE

LOG = logging.getLogger("digits-monitor")
TEXTS = ("source", "route", "kind", "digest")
NUMBERS = ("digit", "confidence", "accepted", "version", "latency", *FACTS)
COLUMNS = (
    *("at", "source", "route", "kind", "status", "digest", "digit", "confidence", "accepted", "version"),
    *("latency", *FACTS, "image"),
)
OF_FILE = tuple(name for name in COLUMNS if name != "source")
FIRST = ("kind", *FACTS)  # columns that files of format 1 lack
SERVER = re.compile(r".+-\d{8}T\d{6}Z-\d+-\d+\.jsonl")
AT_ONCE = 5_000  # rows of a transaction: a gateway waits half a second for a reader
PATIENCE = 5.0  # seconds for a writer

Rows = list[tuple[Any, ...]]


def read(folders: Sequence[Path], since: float = 0.0, until: float = float("inf")) -> pd.DataFrame:
    """All rows of the logs in some folders, noted from `since` on and before `until`, the oldest first.

    A row is in its file about a second after `at`: to miss none, let `until` be some seconds ago. A file that
    is damaged gives what can be read of it, and a warning. Raises OSError where a folder can't be read.
    """
    parts = [_table([], "gateway")]
    for folder in folders:
        for path, database in _databases(folder, since):
            parts += [_table(rows, "gateway") for rows in _rows(path, database, since, until)]
        for path in sorted(folder.iterdir()):
            if SERVER.fullmatch(path.name):
                parts += [_table(_lines(path, since, until), "server")]
    filled = [part for part in parts if len(part)] or parts
    return pd.concat(filled, ignore_index=True).sort_values("at", kind="stable", ignore_index=True)


def _table(rows: Rows, source: str) -> pd.DataFrame:
    table = pd.DataFrame.from_records(rows, columns=OF_FILE)
    table.insert(1, "source", source)
    kinds = {"at": "float64", "status": "int64", **dict.fromkeys(TEXTS, "str")}
    return table.astype(kinds | dict.fromkeys(NUMBERS, "float64"))


def _databases(folder: Path, since: float) -> Iterator[tuple[Path, sqlite3.Connection]]:
    """Open the gateway's files, the present one first: it may become a full one meanwhile."""
    seen: set[int] = set()
    for path in _files(folder):
        try:
            about, database = _opened(path)
        except FileNotFoundError:  # deleted as the oldest
            continue
        except sqlite3.Error as error:
            _warn(path, error)
            continue
        if about.st_ino not in seen and about.st_mtime >= since:
            seen.add(about.st_ino)
            yield path, database
        database.close()


def _files(folder: Path) -> Iterator[Path]:
    yield folder / NOW
    yield from (path for _, path in reversed(request_log.full_files(folder)))


def _opened(path: Path) -> tuple[os.stat_result, sqlite3.Connection]:
    while True:
        about, address = path.stat(), f"file:{quote(str(path))}?mode=ro"
        database = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            database.execute("PRAGMA user_version").fetchone()  # only now the file is opened
            if path.stat().st_ino == about.st_ino:
                return about, database
        except sqlite3.Error:
            database.close()
            path.stat()  # raises FileNotFoundError where it has just gone
            raise
        database.close()


def _rows(path: Path, database: sqlite3.Connection, since: float, until: float) -> Iterator[Rows]:
    """Rows of a file, in short transactions."""
    last = 0
    try:
        columns = ", ".join(_columns(database))
        wanted = "rowid > ? AND at >= ? AND at < ? ORDER BY rowid"
        query = f"SELECT rowid, {columns} FROM requests WHERE {wanted} LIMIT {AT_ONCE}"
        while found := database.execute(query, (last, since, until)).fetchall():
            last = found[-1][0]
            yield [row[1:] for row in found]
    except sqlite3.Error as error:
        _warn(path, error)


def _columns(database: sqlite3.Connection) -> Iterator[str]:
    first = database.execute("PRAGMA user_version").fetchone()[0] == 1
    for name in OF_FILE:
        if first and name in FIRST:
            yield f"'{PICTURE}'" if name == "kind" else "NULL"
        else:
            yield f'"{name}"'


def _lines(path: Path, since: float, until: float) -> Rows:
    """Rows of a server's file."""
    rows: Rows = []
    damaged = 0
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_mtime < since:
            return rows
        for line in file:
            if not line.strip():  # erased
                continue
            try:
                row = orjson.loads(line)
                if since <= row["at"] < until:
                    rows.append(tuple(_value(row, name) for name in OF_FILE))
            except (ValueError, TypeError, KeyError, AttributeError):
                damaged += line.endswith(b"\n")  # else it is being written
    if damaged:
        _warn(path, f"{damaged} lines can't be read")
    return rows


def _value(row: dict[str, Any], name: str) -> Any:
    if name in ("at", "status"):
        return row[name]
    if name == "route":
        return row.get("signature", "")
    return row.get(name, "" if name in TEXTS else None)


def _warn(path: Path, why: object) -> None:
    LOG.warning("request log %s: %s; the rest of it is left out", path.name, why)


def forget(folders: Sequence[Path], digest: str) -> int:
    """Delete the rows with a digest, and their images, from all files; how many there were.

    What a running gateway or server notes within the same second may come after it. Damaged files that were
    put away are deleted as a whole. Raises OSError, sqlite3.Error.
    """
    count = 0
    for folder in folders:
        for path in request_log.present(folder):
            count += request_log.erase(path, "digest = ?", digest, PATIENCE)
        (folder / f"{NOW}.damaged").unlink(missing_ok=True)
        for path in folder.iterdir():
            if SERVER.fullmatch(path.name):
                count += _blank(path, digest.encode())
    return count


def _blank(path: Path, digest: bytes) -> int:
    """Write blanks over the lines with a digest: a server may be writing to the same file."""
    count = place = 0
    with path.open("r+b") as file:
        for line in file:
            if digest in line:
                os.pwrite(file.fileno(), b" " * len(line.rstrip(b"\n")), place)
                count += 1
            place += len(line)
    return count
