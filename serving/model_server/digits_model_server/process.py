"""The server's process: whether it accepts requests, how its ports close, its memory and priority."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

Close = Callable[[float], None]  # stops accepting requests; waits so many seconds for those under way


class Readiness:
    """True until the server is asked to stop; both ports report it, each in its own way."""

    def __init__(self) -> None:
        self.ready = True
        self._callbacks: list[Callable[[], object]] = []

    def on_end(self, callback: Callable[[], object]) -> None:
        """Register a function to be called, from any thread, when readiness ends."""
        self._callbacks.append(callback)

    def end(self) -> None:
        """Declare that the server will stop."""
        self.ready = False
        for callback in self._callbacks:
            callback()


def close_all(closing: Sequence[Close], seconds: float) -> None:
    """Close all ports at the same time, so that none accepts requests while another one drains."""
    threads = [threading.Thread(target=close, args=(seconds,), daemon=True) for close in closing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def finishes_within(seconds: float, work: Callable[[], None]) -> bool:
    """Run a function that may never end and return whether it did in time."""
    thread = threading.Thread(target=work, daemon=True)
    end = time.monotonic() + seconds
    thread.start()
    thread.join(max(0.0, end - time.monotonic()))
    return not thread.is_alive()


def trim_memory() -> None:
    """Ask the allocator to return the memory that it holds; does nothing where it is not glibc's."""
    if sys.platform == "linux":
        release = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if release is not None:
            release(0)


NICE = 19


def yield_to_requests() -> None:
    """Lower the calling thread's priority for good: warming up is long work, and requests go first."""
    if sys.platform == "linux":  # elsewhere the call is for a process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
