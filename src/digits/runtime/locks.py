"""File locks with one holder at a time; the kernel releases them however the holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

EVERY = 0.02  # seconds between tries


@contextlib.contextmanager
def hold(lock: Path, taken: Callable[[str], Exception], patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file in an existing folder. patience: seconds to wait for another holder.

    Raises what `taken` returns for that holder's process number, `unknown` where the file has none.
    """
    with lock.open("a+") as stream:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    stream.seek(0)
                    raise taken(stream.read().strip() or "unknown") from None
                time.sleep(EVERY)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
