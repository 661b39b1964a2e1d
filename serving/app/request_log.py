"""The log of requests for monitoring: a row for each image, in SQLite files of bounded size.

    requests.db          written now
    requests-<n>.db      full ones, the highest number the newest; the oldest is deleted
    requests.db.damaged  one that could not be read any more: the last such

One thread writes, from a queue with an end: a request never waits for the disk. What finds the queue full, or
the disk refusing, is counted in `dropped` and left out. When the process is killed, up to half a second of
rows is lost, and what is in the files stays readable. One process writes a folder; a second one, as while a
gateway is replaced, waits with what its queue holds until the first has ended.

A row has the facts of its image (`digits.facts`), whether images are kept or not. The thread makes them, and
spends a small share of a processor on it: when there is more to do, rows have none.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from digits.facts import FACTS
from digits.runtime import locks
from digits_client.contract import HEIGHT
from serving.monitoring import facts
from serving.monitoring.facts import DIGIT, LINE, PICTURE

LOG = logging.getLogger("digits-app")
NOW = "requests.db"
FULL = "requests-*.db"
FORMAT = 2  # of the table, in a file's user_version; 1 had neither kind nor facts
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
PRIMARY = 0xFF  # SQLite's extended codes carry the primary one in the lowest byte
PATIENCE = 0.5  # seconds to wait for somebody who reads

COLUMNS = {
    "at": "REAL NOT NULL",
    "route": "TEXT NOT NULL",
    "kind": "TEXT NOT NULL",
    "status": "INTEGER NOT NULL",
    "digest": "TEXT NOT NULL",
    "digit": "INTEGER",
    "confidence": "REAL",
    "accepted": "INTEGER",
    "version": "INTEGER",
    "latency": "REAL NOT NULL",
    "image": "BLOB",
    **dict.fromkeys(FACTS, "REAL"),
}
TABLE = "CREATE TABLE requests (" + ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items()) + ")"
INSERT = f"INSERT INTO requests VALUES ({', '.join('?' * len(COLUMNS))})"

Values = tuple[object, ...]  # in the order of the table's columns


class RequestFiles:
    """The files of a folder, for one thread of one process."""

    def __init__(self, folder: Path, max_bytes: int, files: int, group: bool = False) -> None:
        """max_bytes: of all together; files: how many, with the one that is written. group: may read them."""
        self._folder, self._path, self._group = folder, folder / NOW, group
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

    def delete(self, before: float) -> None:
        """Delete rows that were noted before then, unix seconds. Raises OSError."""
        self.close()
        for path in [*present(self._folder), *self._folder.glob(f"{NOW}.damaged")]:
            if path.name != NOW and path.stat().st_mtime < before:
                path.unlink()
            else:
                with contextlib.suppress(sqlite3.Error):  # somebody reads it, or it is damaged: in an hour
                    erase(path, "at < ?", before, PATIENCE)

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
        """A file appears with its table, so that a reader never meets an empty one."""
        new = self._folder / f".{NOW}.new"
        for left in (new, new.with_name(f"{new.name}-journal")):  # of a process that was killed
            left.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(new)) as database:
            database.execute(TABLE)
            database.execute(f"PRAGMA user_version={FORMAT}")
        if self._group:
            self._folder.chmod(self._folder.stat().st_mode | 0o050)
            new.chmod(0o640)  # SQLite gives a journal the mode of its file
        new.rename(self._path)

    def _set_aside(self) -> None:
        """The present file becomes the newest of the full ones; the oldest of too many go."""
        full = full_files(self._folder)
        number = full[-1][0] + 1 if full else 1
        self._path.rename(self._folder / f"requests-{number}.db")
        full = full_files(self._folder)
        for _, path in full[: max(len(full) - self._older, 0)]:
            path.unlink(missing_ok=True)

    def _put_away(self) -> None:
        """A damaged file makes room for a new one."""
        aside = self._path.with_name(f"{NOW}.damaged")
        self._path.replace(aside)
        self._path.with_name(f"{NOW}-journal").unlink(missing_ok=True)
        LOG.warning("request log %s was damaged: it is now %s, a new one is begun", self._path, aside.name)


def full_files(folder: Path) -> list[tuple[int, Path]]:
    """Number and path of the full files, the oldest first."""
    named = [(path.stem.removeprefix("requests-"), path) for path in folder.glob(FULL)]
    return sorted((int(number), path) for number, path in named if number.isdecimal())


def present(folder: Path) -> list[Path]:
    """The files of a folder, the oldest first."""
    now = folder / NOW
    return [*(path for _, path in full_files(folder)), *([now] if now.exists() else [])]


def erase(path: Path, where: str, value: object, patience: float) -> int:
    """Delete the rows of a file for which a condition holds, leaving no trace of them in it; how many.

    patience: seconds to wait for somebody who writes. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as database:
        count = database.execute(f"DELETE FROM requests WHERE {where}", (value,)).rowcount
        if count:
            database.execute("VACUUM")  # a page may have kept what was moved to others, whatever is deleted
        return count


WAITING = 10_000  # entries that may wait for the disk
AT_ONCE = 256  # entries a transaction: by so much a file may exceed its share
EVERY = 0.5  # seconds at most from an entry to its transaction
LOOK = 0.05  # seconds until the thread sees that it is to end
AGAIN = 1.0  # seconds until a disk that refused, or a folder that was taken, is tried again
ENDING = 10.0  # seconds for what is queued when the log is closed
HASHES = 1 << 32  # of CRC-32
HELD = 32 << 20  # bytes of images that wait; what comes then is logged without its facts and its image
SHARE = 0.02  # of a processor, for facts
TIDY = 3600.0  # seconds between two looks for rows that are too old
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of one request, or a request that failed."""

    at: float  # unix seconds
    route: str
    kind: str  # DIGIT, PICTURE, LINE; "" where there was no image
    status: int
    digest: str  # sha256 of what the client sent, hexadecimal: the image, or a line's photo; "" for none
    digit: int | None
    confidence: float | None
    accepted: bool | None
    version: int | None
    latency: float  # seconds
    image: bytes | None  # 28 × 28 bytes, a file, or 32 rows of bytes


class _Taken(Exception):
    """Another process writes to the folder."""


def _taken(holder: str) -> _Taken:
    return _Taken(f"process {holder} writes there")


class RequestLog:
    """Takes entries, and keeps the newest of them on disk."""

    def __init__(
        self,
        folder: Path,
        *,
        sample: float = 1.0,
        max_bytes: int = 64 << 20,
        files: int = 4,
        images: bool = False,
        days: float = 30,
        group: bool = False,
    ) -> None:
        """sample: share of the images that are kept, by their digest. images: keep the pixels too.

        days: after which a row is deleted. group: the process's group may read the files.
        """
        self._folder, self._sample, self._images, self._days = folder, sample, images, days
        self._files = RequestFiles(folder, max_bytes, files, group)
        self._allowance = facts.Allowance(SHARE)
        self._held, self._tidied = 0, -TIDY
        self._queue: queue.Queue[Entry] = queue.Queue(WAITING)
        self._counting, self.dropped = threading.Lock(), 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._missed = 0  # since the disk refused

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def note(self, *entries: Entry) -> None:
        """Keep entries, some time soon. Never waits, never raises."""
        for entry in entries:
            try:
                if not self._sampled(entry.digest):
                    continue
                if self._ended.is_set():
                    self._drop(1)
                else:
                    self._queue.put_nowait(self._hold_image(entry))
            except Exception:  # the queue is full, or this is no entry: the request goes on all the same
                self._drop(1)

    def close(self) -> None:
        """Write what is queued, then end; what the disk does not take in some seconds is dropped."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(ENDING)
        while not self._queue.empty():
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()
                self._drop(1)

    def _hold_image(self, entry: Entry) -> Entry:
        size = len(entry.image or b"")
        with self._counting:
            if self._held + size > HELD:
                return replace(entry, image=None)
            self._held += size
        return entry

    def _sampled(self, digest: str) -> bool:
        """The same image is always in or always out; what has no image is in."""
        return zlib.crc32(digest.encode()) < self._sample * HASHES

    def _drop(self, count: int) -> None:
        with self._counting:
            self.dropped += count

    def _run(self) -> None:
        with contextlib.ExitStack() as held, contextlib.closing(self._files):
            alone, again = False, 0.0
            while (batch := self._batch()) is not None:
                if tidying := self._is_due():
                    self._tidied = time.monotonic()
                if time.monotonic() < again and not self._ended.is_set():
                    self._lose(len(batch))
                    continue
                try:
                    alone = alone or self._hold(held)
                    if batch:
                        self._files.write(list(self._rows(batch)))
                        self._works()
                    if tidying:
                        self._files.delete(time.time() - self._days * DAY)
                except Exception as error:  # whatever the disk has: the thread goes on
                    self._say(error)
                    self._lose(len(batch))
                    again = time.monotonic() + AGAIN

    def _rows(self, batch: Sequence[Entry]) -> Iterator[Values]:
        for entry, found in zip(batch, self._facts(batch), strict=True):
            image = _file(entry) if self._images else None
            yield (
                *(entry.at, entry.route, entry.kind, entry.status, entry.digest, entry.digit),
                *(entry.confidence, entry.accepted, entry.version, entry.latency, image, *found),
            )

    def _facts(self, batch: Sequence[Entry]) -> list[facts.Row]:
        found = [facts.UNKNOWN] * len(batch)
        places = [i for i, entry in enumerate(batch) if entry.image and entry.kind == DIGIT]
        if places and self._allowance:
            with self._allowance.spent():
                made = facts.of_digits([batch[i].image or b"" for i in places])
            for i, row in zip(places, made, strict=True):
                found[i] = row
        for i, entry in enumerate(batch):
            if entry.image and entry.kind in OTHERS and self._allowance:
                with self._allowance.spent():
                    found[i] = OTHERS[entry.kind](entry.image)
        return found

    def _is_due(self) -> bool:
        """Whether it is time to look for rows that are too old."""
        return time.monotonic() - self._tidied >= TIDY

    def _hold(self, held: contextlib.ExitStack) -> bool:
        """Be the one process that writes here, as soon as that is possible."""
        self._folder.mkdir(parents=True, exist_ok=True)
        said = False
        while True:
            last = self._ended.is_set()  # this try is the last one
            try:
                held.enter_context(locks.hold(self._folder / ".lock", _taken))
                return True
            except _Taken as error:
                if last:
                    raise
                if not said:
                    LOG.warning("request log %s: %s; this one waits for its end", self._folder, error)
                    said = True
                self._ended.wait(AGAIN)

    def _batch(self) -> list[Entry] | None:
        """What comes within a moment of the first entry; empty when it is time to tidy; None at the end."""
        batch: list[Entry] = []
        while not batch and not self._is_due():
            with contextlib.suppress(queue.Empty):
                batch.append(self._queue.get(timeout=LOOK))
            if not batch and self._ended.is_set():
                return None
        until = time.monotonic() + EVERY
        while batch and self._queue.qsize() < AT_ONCE and time.monotonic() < until:
            if self._ended.wait(LOOK):  # a look now and then: to be woken by each entry slows requests down
                break
        with contextlib.suppress(queue.Empty):
            while 0 < len(batch) < AT_ONCE:
                batch.append(self._queue.get_nowait())
        with self._counting:
            self._held -= sum(len(entry.image or b"") for entry in batch)
        return batch

    def _lose(self, count: int) -> None:
        self._missed += count
        self._drop(count)

    def _say(self, error: Exception) -> None:
        """Once for each time that the disk begins to refuse."""
        if not self._missed:
            LOG.warning("request log %s: %s; requests are left out until that works", self._folder, error)

    def _works(self) -> None:
        if self._missed:
            LOG.warning("request log %s: written to again; it lacks %d requests", self._folder, self._missed)
            self._missed = 0


OTHERS = {PICTURE: facts.of_picture, LINE: facts.of_line}


def _file(entry: Entry) -> bytes | None:
    """The image as it is kept: a line as a PNG file."""
    if entry.image and entry.kind == LINE:
        return cv2.imencode(".png", np.frombuffer(entry.image, np.uint8).reshape(HEIGHT, -1))[1].tobytes()
    return entry.image
