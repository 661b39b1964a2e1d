"""Shell helper: child processes that end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
RUN_PID = "DIGITS_RUN_PID"  # the process of `digits run`, for what it starts


def alive(pid: int) -> bool:
    """Whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def die_with_parent() -> None:
    """Have Linux kill this process when the one that started it dies: a killed parent leaves no orphan.

    Elsewhere this does nothing; there the orphan ends its stage, whose writes appear whole or not at all.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    run = os.environ.get(RUN_PID, "")
    if run.isdecimal() and not alive(int(run)):  # it died before the line above: that signal never comes
        sys.exit("the run that this belongs to has ended")
