"""What was asked and answered, for monitoring: a row for each image in SQLite files of bounded size. Shell.

One thread writes, from a queue with an end: a request never waits for the disk. What finds the queue full, or
the disk refusing, is counted in `dropped` and left out. When the process is killed, up to half a second of
rows is lost, and what is in the files stays readable. One process writes a folder; a second one, as while a
gateway is replaced, waits with what its queue holds until the first has ended.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import zlib
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from digits.runtime import locks
from serving.app.request_files import RequestFiles

LOG = logging.getLogger("digits-app")
WAITING = 10_000  # entries that may wait for the disk
AT_ONCE = 256  # entries a transaction: by so much a file may exceed its share
EVERY = 0.5  # seconds at most from an entry to its transaction
LOOK = 0.05  # seconds until the thread sees that it is to end
AGAIN = 1.0  # seconds until a disk that refused, or a folder that was taken, is tried again
ENDING = 10.0  # seconds for what is queued when the log is closed
HASHES = 1 << 32  # of CRC-32


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of one request."""

    at: float  # unix seconds
    route: str
    status: int
    digest: str  # sha256 of the image, hexadecimal; "" where there was none
    digit: int | None
    confidence: float | None
    accepted: bool | None
    version: int | None
    latency: float  # seconds
    image: bytes | None


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
    ) -> None:
        """sample: share of the images that are kept, by their digest. images: keep the pixels too."""
        self._folder, self._sample, self._images = folder, sample, images
        self._files = RequestFiles(folder, max_bytes, files)
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
                    self._queue.put_nowait(entry if self._images else replace(entry, image=None))
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

    def _sampled(self, digest: str) -> bool:
        """The same image is always in or always out; what has no image is in."""
        return zlib.crc32(digest.encode()) < self._sample * HASHES

    def _drop(self, count: int) -> None:
        with self._counting:
            self.dropped += count

    def _run(self) -> None:
        with contextlib.ExitStack() as held, contextlib.closing(self._files):
            alone, again = False, 0.0
            while batch := self._batch():
                if time.monotonic() < again and not self._ended.is_set():
                    self._lose(len(batch))
                    continue
                try:
                    alone = alone or self._hold(held)
                    self._files.write([astuple(entry) for entry in batch])
                    self._works()
                except Exception as error:  # whatever the disk has: the thread goes on
                    self._say(error)
                    self._lose(len(batch))
                    again = time.monotonic() + AGAIN

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

    def _batch(self) -> list[Entry]:
        """What comes within a moment of the first entry; empty at the end."""
        batch: list[Entry] = []
        until = float("inf")
        while len(batch) < AT_ONCE and time.monotonic() < until:
            try:
                batch.append(self._queue.get(timeout=LOOK))
            except queue.Empty:
                if self._ended.is_set():
                    break
            else:
                until = min(until, time.monotonic() + EVERY)
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
