"""The process: freed memory goes back to the system, and threads of less importance yield the processor."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading


def trim() -> None:
    """Ask the allocator to return what it holds; where it is not glibc's, nothing happens."""
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
