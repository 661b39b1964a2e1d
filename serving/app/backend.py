"""The model server behind the gateway: found where it runs, else started, and started again when it dies."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from digits.runtime.errors import ServingError
from digits.runtime.processes import die_with_parent
from digits_client import DigitClient, errors
from serving.app import log_lines
from serving.app.log_lines import Tell
from serving.checks import server_process

FIRST, LONGEST = 1.0, 30.0  # seconds before it is started again; doubles while it keeps dying
STEADY = 60.0  # seconds of life after which it is taken for well
GRACE = 10.0  # seconds to end by itself
READY = 120.0  # seconds until it must answer: a cold disk and a busy machine take half of that


def answers(server: str) -> bool:
    """Whether something at this address speaks gRPC as a model server does, ready or not."""
    with DigitClient(server, timeout=2, retries=0) as client:
        try:
            client.status()
        except (errors.Unavailable, errors.DeadlineExceeded):
            return False
        except errors.ModelNotFound:
            return True
    return True


@contextlib.contextmanager
def keep_running(command: Sequence[str], log: Path, tell: Tell) -> Iterator[Backend]:
    """A model server of our own for as long as the block lasts, started again whenever it dies.

    log: where its own lines go; begun anew.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    backend = Backend(command, log, tell)
    backend.start()
    try:
        yield backend
    finally:
        backend.stop()


class Backend:
    """One process at a time, from `command`."""

    def __init__(self, command: Sequence[str], log: Path, tell: Tell) -> None:
        self._command, self._log, self._tell = list(command), log, tell
        self._ending = threading.Event()
        self._process = self._begin()
        self._thread = threading.Thread(target=self._watch, name="model-server", daemon=True)

    @property
    def pid(self) -> int:
        """The id of the process that runs now, or ran last."""
        return self._process.pid

    def start(self) -> None:
        """Begin to watch over it."""
        self._thread.start()

    def wait(self, server: str) -> None:
        """Wait until it answers. Raises ServingError when it does not."""
        until = time.monotonic() + READY
        with DigitClient(server, timeout=2, retries=0) as client:
            while not client.health():
                if (code := self._process.poll()) is not None:
                    raise ServingError(f"the model server ended with code {code}: see {self._log}")
                if time.monotonic() > until:
                    raise ServingError(f"the model server is not ready after {READY:g} s: see {self._log}")
                time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._thread.is_alive():
            self._thread.join()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as stream:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=server_process.environment() | {"TF_CPP_MIN_LOG_LEVEL": "2"},
                start_new_session=True,  # Ctrl-C is the gateway's: requests end before the server goes
                preexec_fn=die_with_parent,
            )

    def _watch(self) -> None:
        pause = FIRST
        while True:
            began = time.monotonic()
            code = self._process.wait()
            if self._ending.is_set():
                return
            pause = FIRST if time.monotonic() - began > STEADY else min(2 * pause, LONGEST)
            told = f"the model server ended with code {code}: started again in {pause:g} s; see {self._log}"
            self._tell(log_lines.event(told, "error"))
            if self._ending.wait(pause):
                return
            self._process = self._begin()
