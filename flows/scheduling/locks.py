"""One at a time, by locks that the kernel lets go of however their holder ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from digits.runtime import locks
from digits.runtime.errors import DigitsError


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
    with locks.hold(folder / "scheduler.lock", Taken):
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
    log = folder / "server.log"

    def slow(_: str) -> DigitsError:
        return DigitsError(
            f"another process has been starting this project's Prefect server for {patience:g} s: read {log}"
        )

    with locks.hold(folder / "server.lock", slow, patience):
        yield
