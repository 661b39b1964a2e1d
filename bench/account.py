"""Measures a process together with its children: wall and CPU seconds, peak memory.

    python -m bench.account LOG -m digits.ingest.stage …

Stands in for `python` in front of a stage: runs it, and appends the measurements to a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True)
class Usage:
    """Exit code, seconds, and the largest resident set of any one process, in MiB."""

    code: int
    wall: float
    cpu: float
    peak_mib: float


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
) -> Usage:
    """Run a command to its end; its output goes to `log`, or to this process's own."""
    started = time.perf_counter()
    streams = {"stdout": log, "stderr": subprocess.STDOUT} if log else {}
    child = subprocess.Popen(command, cwd=cwd, env=env, **streams)  # type: ignore[call-overload]
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        child.wait()
        raise
    wall = time.perf_counter() - started
    child.returncode = code = os.waitstatus_to_exitcode(
        status
    )  # or Popen would look for it when it is deleted
    return Usage(code, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT / 2**20)


def main(argv: list[str]) -> int:
    """Run a stage, append a line to argv[0] and return the stage's exit code."""
    log, arguments = Path(argv[0]), argv[1:]
    used = run([sys.executable, *arguments])
    name = arguments[1].removesuffix(".stage").rpartition(".")[2] if arguments[:1] == ["-m"] else arguments[0]
    record = {"stage": name, "wall": used.wall, "cpu": used.cpu, "peak_mib": used.peak_mib}
    with log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")
    return used.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
