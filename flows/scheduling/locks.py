"""One at a time, by locks that the kernel lets go of however their holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from digits.errors import DigitsError


class Taken(DigitsError):
    """The project has a scheduler."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"a scheduler (process {holder}) is at work for this project already: leave it be, or end it "
            f"with `kill {holder}` first"
        )


@contextlib.contextmanager
def only_scheduler(folder: Path) -> Iterator[None]:
    """Be the only scheduler of the project whose Prefect is in that folder. Raises Taken otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scheduler.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise Taken(stream.read().strip() or "unknown") from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def scheduler(folder: Path) -> str | None:
    """The process that is the scheduler of the project whose Prefect is in that folder; None without one."""
    try:
        with (folder / "scheduler.lock").open("r") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return stream.read().strip() or "unknown"
    except OSError:
        pass
    return None


@contextlib.contextmanager
def server_start(folder: Path, patience: float) -> Iterator[None]:
    """One look-and-start at a time: who waits then finds the server that the first one started.

    patience: seconds to wait. Raises DigitsError after that.
    """
    end = time.monotonic() + patience
    with (folder / "server.lock").open("a") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise DigitsError(
                        "another process has been starting this project's Prefect server for "
                        f"{patience:g} s: read {folder / 'server.log'}"
                    ) from None
                time.sleep(0.1)
        yield
