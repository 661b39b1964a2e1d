"""Model servers without the second that each takes to import its modules and load TensorFlow.

One process per test run has loaded them (`python -m tests.serving._template`). It forks twice for a server:
the server's parent ends, and the process of the tests, a "child subreaper" meanwhile, takes its place.
"""

import atexit
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from tests._project import ROOT, python_path

SUBREAPER = 36  # of prctl(2)


class Process:
    """A child that this process did not start, with the methods of Popen that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(15)


def start(flags: list[str], log: Path, environment: dict[str, str], descriptors: int = 0) -> Process:
    """Start a server. descriptors: how many it may have, 0 for as many as this process."""
    log.write_bytes(b"")
    template = _template()
    job = {"flags": flags, "log": str(log), "environment": environment, "descriptors": descriptors}
    prctl = ctypes.CDLL(None).prctl
    prctl(SUBREAPER, 1, 0, 0, 0)
    try:
        template.stdin.write(json.dumps(job) + "\n")
        template.stdin.flush()
        return Process(int(template.stdout.readline()))
    finally:
        prctl(SUBREAPER, 0, 0, 0, 0)  # other orphans are none of a test's business


@cache
def _template() -> subprocess.Popen[str]:
    paths = os.pathsep.join([python_path(), os.environ.get("PYTHONPATH", "")])
    made = subprocess.Popen(
        [sys.executable, "-m", "tests.serving._template"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": paths, "TF_OVERRIDE_GLOBAL_THREADPOOL": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )

    def end() -> None:
        made.stdin.close()
        made.stdout.close()
        made.wait()

    atexit.register(end)
    return made


def main() -> None:
    """Fork a server for each job; answer with its process id."""
    from digits_model_server import main as server
    from digits_model_server import metrics, ports, process  # noqa: F401
    from digits_model_server.models import factory  # noqa: F401
    from digits_model_server.runtime import c_library

    c_library.version()  # loads the library
    for line in sys.stdin:
        job = json.loads(line)
        told, tells = os.pipe()
        between = os.fork()
        if not between:
            pid = os.fork()
            if pid:
                os.write(tells, b"%d" % pid)
                os._exit(0)
            try:
                os.close(told)
                os.close(tells)
                _become(job)
                server.run()
            finally:
                os._exit(1)
        os.waitpid(between, 0)  # now the server has its new parent
        print(os.read(told, 20).decode(), flush=True)
        os.close(told)
        os.close(tells)


def _become(job: dict) -> None:
    with contextlib.ExitStack() as stack:
        for path, mode, number in ((os.devnull, "rb", 0), (job["log"], "ab", 1)):
            os.dup2(stack.enter_context(Path(path).open(mode)).fileno(), number)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(job["environment"])
    if job["descriptors"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (job["descriptors"], job["descriptors"]))
    sys.argv[1:] = job["flags"]


if __name__ == "__main__":
    main()
