"""A thread's share of the processor."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

NICE = 19


def yield_to_requests() -> None:
    """Lower the calling thread's priority for good: warming up is long work, and requests go first."""
    if sys.platform == "linux":  # elsewhere the call is for a process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
