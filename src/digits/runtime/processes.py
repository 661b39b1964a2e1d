"""Makes child processes end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PR_SET_PDEATHSIG = 1
RUN_PID = "DIGITS_RUN_PID"  # the process of `digits run`, in the environment of its children
LOOK = 0.5  # seconds between two checks that they are alive


def alive(pid: int) -> bool:
    """Return whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def die_with_parent() -> None:
    """Have Linux kill this process when the one that started it dies: a killed parent leaves no orphan.

    Does nothing on other systems; there the orphan finishes its stage, whose writes appear whole or not at
    all.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    run = os.environ.get(RUN_PID, "")
    if run.isdecimal() and not alive(
        int(run)
    ):  # it died before the line above, so the signal will never come
        sys.exit("the run that this belongs to has ended")


def die_with_dvc() -> None:
    """Do `die_with_parent` for a stage, and also end when the DVC or the run above its parent dies.

    DVC starts a stage through a shell. Bash becomes the stage; dash stays between, and outlives DVC.
    """
    die_with_parent()
    import psutil

    above = psutil.Process().parents()[:2]
    until = next((n for n, process in enumerate(above, 1) if is_dvc(process)), 0)
    watched = above[:until]
    run = os.environ.get(RUN_PID, "")
    if run.isdecimal():
        try:
            watched.append(psutil.Process(int(run)))
        except psutil.NoSuchProcess:
            sys.exit("the run that this belongs to has ended")
    if watched:
        threading.Thread(target=_die_with, args=[watched], name="die-with-dvc", daemon=True).start()


def age() -> float:
    """Return the seconds since this process started."""
    import psutil

    began: float = psutil.Process().create_time()
    return max(0.0, time.time() - began)


def is_dvc(process: psutil.Process) -> bool:
    """Return whether a process is a running DVC."""
    import psutil

    try:
        words = process.cmdline()  # of a zombie: none
    except psutil.Error:
        return False
    return any(Path(word).stem == "dvc" for word in words)  # bin/dvc, dvc.exe, -m dvc


def _die_with(watched: Sequence[psutil.Process]) -> None:
    while all(map(_runs, watched)):
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGKILL)


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
