"""Returns freed memory to the system, and lowers the priority of background threads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading


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
