"""A small disk, for tests of what happens when it is full."""

import contextlib
import subprocess

import pytest


@contextlib.contextmanager
def disk(folder, size):
    """Mount an empty disk of a size such as 64k on a folder; skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "digits-test", str(folder)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
