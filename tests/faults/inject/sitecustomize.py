"""Loaded by every Python of a fault test through PYTHONPATH: fails a stage's n-th change on disk.

DIGITS_FAULT = "<action>:<n>:<file>": `count` appends a line to <file> for every change; `kill` is kill -9
just before the n-th one; `full` has it and all later ones fail as on a full disk.
"""

import errno
import os
import re
import signal
from pathlib import Path

OPERATIONS = ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir", "truncate")
GROWING = ("mkdir", "fsync", "rename", "replace")  # the others free space


def _exists(name: str, args: tuple) -> bool:
    return name == "mkdir" and Path(args[0]).exists()  # says so on a full disk too


def _install(action: str, at: int, record: str) -> None:
    done = 0

    def guard(name, original):
        def guarded(*args, **kwargs):
            nonlocal done
            done += 1
            if action == "count":
                with Path(record).open("a") as stream:
                    stream.write(f"{name}\n")
            elif action == "kill" and done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            elif action == "full" and done >= at and name in GROWING and not _exists(name, args):
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*args, **kwargs)

        return guarded

    for name in OPERATIONS:
        setattr(os, name, guard(name, getattr(os, name)))


if (fault := os.environ.get("DIGITS_FAULT")) and re.search(
    rb"digits\.\w+\.stage\b", Path("/proc/self/cmdline").read_bytes()
):
    _action, _at, _record = fault.split(":", 2)
    _install(_action, int(_at), _record)
