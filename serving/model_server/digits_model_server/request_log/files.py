"""The files of a log, `<prefix>-<UTC time>-<process>-<n>.<form>`, bounded in size, number and, if asked, age.

A process that is killed may leave part of a record at the end of the file that it wrote, since the kernel
can be between two pages of a write. The next server that writes under the prefix cuts that off. Nothing is
synced: a machine that loses power may lose the last seconds. When the disk fails, that is reported once, and
writing is retried later.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import mmap
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from digits_model_server import status, tfrecord

CLOSED = -1
DAY = 86_400.0  # seconds; where their age is bounded, a file takes the records of one day at most


@dataclass(frozen=True)
class Form:
    """How records stand in a file. whole: where the part of a record begins that ends a file's bytes."""

    ending: str
    frame: Callable[[bytes], bytes]
    whole: Callable[[mmap.mmap], int]


TFRECORD = Form(".tfrecord", tfrecord.frame, tfrecord.whole)
LINES = Form(".jsonl", lambda record: record + b"\n", lambda data: data.rfind(b"\n") + 1)


class LogFiles:
    """The files of one prefix, for one thread.

    The limit on their number includes files of servers that have ended; one that another server still writes
    to is never deleted.
    """

    def __init__(
        self,
        prefix: str,
        most_bytes: int,
        most_files: int,
        form: Form = TFRECORD,
        mode: int = 0o640,
        days: float = 0,
    ) -> None:
        """mode: of the files, less the umask. days: from a file's last record to its end; 0: none."""
        self._prefix, self._most_bytes, self._most_files = Path(prefix), most_bytes, most_files
        self._form, self._mode, self._days = form, mode, days
        self._file, self._path, self._size, self._made = CLOSED, Path(), 0, 0
        self._began = 0.0

    def write(self, record: bytes) -> None:
        """Append a record. Raises OSError, and then nothing of it is left."""
        data = self._form.frame(record)
        if self._file != CLOSED and (self._size + len(data) > self._most_bytes or self._deleted()):
            self.close()
        self.tidy()
        if self._file == CLOSED:
            self._open()
        try:
            _write(self._file, data)
        except OSError:
            self._take_back()
            raise
        self._size += len(data)

    def tidy(self) -> None:
        """Close a file that is a day old, and delete those that are too old. Raises OSError."""
        if self._days and time.time() - self._began > DAY:
            self.close()
            self._began = time.time()
            for path in files(self._prefix, self._form.ending):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < time.time() - self._days * DAY:
                        _delete(path)

    def close(self) -> None:
        """Close the current file; a later record begins another one."""
        if self._file != CLOSED:
            os.close(self._file)
            self._file = CLOSED

    def _deleted(self) -> bool:
        return os.fstat(self._file).st_nlink == 0

    def _open(self) -> None:
        self._make_room()
        if not self._made:
            self._repair()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        while self._file == CLOSED:
            self._made += 1
            name = f"{self._prefix.name}-{stamp}-{os.getpid()}-{self._made:04d}{self._form.ending}"
            self._path = self._prefix.with_name(name)
            with contextlib.suppress(FileExistsError):
                self._file = os.open(self._path, flags, self._mode)
        self._size = 0
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _take_back(self) -> None:
        if self._size:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:  # half a record at the end: nothing may follow it
                self.close()
        else:  # nothing but a name
            self.close()
            self._path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        kept = list(files(self._prefix, self._form.ending))
        for path in kept[: max(0, len(kept) - self._most_files + 1)]:
            _delete(path)

    def _repair(self) -> None:
        """Cut off what servers that were killed have left of a record."""
        for path in files(self._prefix, self._form.ending):
            with contextlib.suppress(OSError), _unless_written(path) as free:
                if free:
                    _cut(path, self._form)


def _delete(path: Path) -> None:
    with _unless_written(path) as free:
        if free:
            path.unlink(missing_ok=True)


def _cut(path: Path, form: Form) -> None:
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:  # which can't be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            whole = form.whole(data)
        if whole < size:
            file.truncate(whole)


def files(prefix: Path, ending: str = TFRECORD.ending) -> Iterator[Path]:
    """Yield the files of a prefix, oldest first. Raises OSError."""
    pattern = re.compile(re.escape(prefix.name) + r"-(\d{8}T\d{6}Z)-\d+-(\d+)" + re.escape(ending))
    found = []
    for path in prefix.parent.iterdir():
        if match := pattern.fullmatch(path.name):
            found.append((match[1], int(match[2]), path))
    yield from (path for *_, path in sorted(found))


@contextmanager
def _unless_written(path: Path) -> Iterator[bool]:
    """Yield whether no server writes to the file; none begins to inside the block."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


LOG = logging.getLogger("digits-model-server")
AGAIN = 1.0  # seconds until a disk that refused a record is tried again
_CODES = {
    errno.ENOSPC: status.RESOURCE_EXHAUSTED,
    errno.EDQUOT: status.RESOURCE_EXHAUSTED,
    errno.EMFILE: status.RESOURCE_EXHAUSTED,
    errno.ENOENT: status.NOT_FOUND,
    errno.ENOTDIR: status.NOT_FOUND,
    errno.EACCES: status.PERMISSION_DENIED,
    errno.EPERM: status.PERMISSION_DENIED,
    errno.EROFS: status.PERMISSION_DENIED,
}


class Sink:
    """Writes the records of one prefix, for one thread, and keeps trying where the disk fails."""

    def __init__(self, prefix: str, files: LogFiles) -> None:
        self._prefix, self._files = prefix, files
        self._code, self._lost, self._again = status.OK, 0, 0.0

    def write(self, record: bytes) -> int:
        """Append a record, or drop it; return the outcome as a status code."""
        if self._code != status.OK and time.monotonic() < self._again:
            self._lost += 1
            return self._code
        try:
            self._files.write(record)
        except OSError as error:
            self._failed(error)
            return self._code
        if self._lost:
            LOG.warning(
                "request log %s-*: written to again; %d requests are missing", self._prefix, self._lost
            )
        self._code, self._lost = status.OK, 0
        return self._code

    def tidy(self) -> None:
        """Close and delete what is too old."""
        with contextlib.suppress(OSError):
            self._files.tidy()

    def close(self) -> None:
        """Close the current file."""
        self._files.close()

    def _failed(self, error: OSError) -> None:
        if not self._lost:
            why = error.strerror or str(error)
            LOG.warning("request log %s-*: %s; requests are not logged until it works", self._prefix, why)
        self._lost += 1
        self._again = time.monotonic() + AGAIN
        self._code = _CODES.get(error.errno or 0, status.UNKNOWN)
