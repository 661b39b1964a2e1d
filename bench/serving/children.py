"""Child processes that end with the bench: their output, CPU time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent

GRACE = 15.0  # seconds to end after SIGTERM before it is killed


def free_ports(count: int) -> list[int]:
    """Return different ports of loopback on which nobody listened a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def accepts_connections(port: int) -> bool:
    """Return whether a connection to that port of loopback is accepted."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def start(command: Sequence[str], cwd: Path, log: Path, **streams: Any) -> subprocess.Popen[str]:
    """Start a process that dies with this one; its output goes to `log`."""
    with log.open("ab") as stream:
        given: dict[str, Any] = {"stdout": stream, "stderr": stream, **streams}
        return subprocess.Popen(command, cwd=cwd, text=True, preexec_fn=die_with_parent, **given)


def stop(process: subprocess.Popen[str]) -> None:
    """Send SIGTERM, then SIGKILL if the process does not end."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait(
    process: subprocess.Popen[str], ready: Callable[[], bool], log: Path, what: str, limit: float
) -> float:
    """Wait until `ready` and return the seconds.

    Raises DigitsError with the log's last line when the process ends, or takes too long.
    """
    began = time.perf_counter()
    while not ready():
        if process.poll() is not None:
            raise DigitsError(
                f"{what} ended with {process.returncode} instead of serving ({last_line(log)}): see {log}"
            )
        if time.perf_counter() - began > limit:
            stop(process)
            raise DigitsError(f"{what} did not serve within {limit:.0f} s ({last_line(log)}): see {log}")
        time.sleep(0.02)
    return time.perf_counter() - began


def last_line(log: Path) -> str:
    """Return the last line of a log, shortened."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "no message"


class Worker:
    """A child that answers each line of JSON with one."""

    def __init__(self, module: str, arguments: Sequence[str], cwd: Path, log: Path) -> None:
        self.module, self.log = module, log
        command = [sys.executable, "-m", module, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = start(command, cwd, log, **pipes)

    def send(self, job: dict[str, Any]) -> None:
        """Send a job; `receive` waits for the answer."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # `receive` tells why
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return the next answer. Raises DigitsError when the child has ended, or could not do the job."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise DigitsError(
                f"{self.module} ended in the middle of the bench ({last_line(self.log)}): see {self.log}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DigitsError(f"{self.module}: {answer['error']}")
        return answer

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Send a job and return its answer."""
        self.send(job)
        return self.receive()

    def stop(self) -> None:
        """End it."""
        stop(self.process)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU seconds of a process so far, all threads; None where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float | None:
    """Return the memory that a process holds now; None where there is no /proc."""
    statm = Path(f"/proc/{pid}/statm")
    if not statm.exists():
        return None
    return int(statm.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
