"""The server's process: when it is to stop, whether it accepts requests, how its ports close, its memory."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence

Close = Callable[[float], None]  # stops accepting requests; waits so many seconds for those under way


SHORT = 0.2  # seconds of a wait


class StopRequest:
    """A request to stop that signal handlers make and the main thread waits for.

    threading.Event is no such thing: a handler runs in the main thread, between any two of its instructions,
    and where it interrupts the thread's own `wait` it waits for a lock that this thread holds, for ever.
    """

    def __init__(self) -> None:
        self._made = False
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()  # whose `put` may interrupt its `get`

    def set(self) -> None:
        """Make the request; a second one changes nothing."""
        self._made = True
        self._queue.put(None)

    def is_set(self) -> bool:
        """Whether it was made."""
        return self._made

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is made, or for so many seconds; return whether it was made.

        In short waits: a signal that comes just before a wait begins does not end it, and Python runs the
        handler after it.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._made and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=min(left, SHORT))
        return self._made


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
