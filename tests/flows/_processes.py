"""Processes and ports for tests of the project's own Prefect server."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

from tests._project import python_path

PATIENCE = 240.0  # seconds that anything may take on a busy machine


def environment(**extra: str) -> dict[str, str]:
    """Return the machine's environment, without what would change a run, and with this tree's modules."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DIGITS_", "PREFECT_", "PYTEST_"))}
    return kept | {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"} | extra


def wait_for(what, seconds: float = PATIENCE, told=lambda: ""):
    """Return the first true value of `what()`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {told()}")


def gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True
