"""Runs a real model server on free loopback ports in a scratch directory, for as long as a block lasts.

The infrastructure check and the comparison use it. The server runs on the CPU, as the model that it is
compared with does: a GPU rounds differently, and one that is busy training has no memory to spare.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import digits_model_server
from digits.runtime.errors import StoreError
from digits.runtime.processes import die_with_parent
from digits.runtime.tf_import import NOISE
from serving.store.pointer import Pointer, render

REAL = "tensorflow_model_server"
PATIENCE = 120.0  # seconds until it must be ready; with a cold disk on a busy machine it takes half of that
GRACE = 5.0  # seconds between SIGTERM and SIGKILL
TAIL = 6  # lines of its log that an error shows
NO_RETRIES = "--max_num_load_retries=0"  # a server would retry a bad version for five minutes
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """A running server: its two ports, its program's name, its log."""

    grpc_port: int
    rest_port: int
    program: str
    log: Path
    process: subprocess.Popen[bytes]

    def describe(self) -> str:
        """Whether it runs, and the end of its log, on one line."""
        code = self.process.poll()
        state = "runs" if code is None else f"ended with exit code {code}"
        lines = self.log.read_bytes().split(b"\n") if self.log.exists() else []
        words = [line.strip()[:300] for line in lines if line.strip() and not NOISE.search(line)]
        tail = b" | ".join(words[-TAIL:]).decode(errors="replace") or "nothing"
        return f"the server ({self.program}) {state}; the end of its log: {tail}"


def command() -> tuple[str, ...]:
    """TensorFlow Serving if it is on the PATH, else the embedded server."""
    program = shutil.which(REAL)
    return (program,) if program else (sys.executable, "-m", "digits_model_server")


def environment() -> dict[str, str]:
    """The environment of a child process: no GPU, and these packages importable from any directory."""
    roots = (Path(__file__).resolve().parents[2], Path(digits_model_server.__path__[0]).resolve().parent)
    paths = [*map(str, roots), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary directory, deleted after the block; kill -9 leaves it in the system's temporary folder."""
    with tempfile.TemporaryDirectory(prefix="digits-sandbox-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def start(
    pointer: Pointer, directory: Path, program: Sequence[str] | None = None, patience: float = PATIENCE
) -> Iterator[Server]:
    """Start a server and yield it once it has loaded the pointer's versions; it ends with the block.

    directory: an empty one, for its configuration and log. program: its command, without flags. Raises
    StoreError with the end of its log when it ends or is not ready within `patience` seconds.
    """
    chosen = tuple(program or command())
    config, log = directory / "models.config", directory / "server.log"
    config.write_text(render(pointer), encoding="utf-8")
    grpc_port, rest_port = _free_ports()
    flags = (
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={config}",
        NO_RETRIES,
    )
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                [*chosen, *flags],
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise StoreError(f"the model server {chosen[0]} can't be started ({error.strerror})") from None
    server = Server(grpc_port, rest_port, " ".join((Path(chosen[0]).name, *chosen[1:])), log, process)
    try:
        _await(server, patience)
        yield server
    finally:
        _end(process)


def _await(server: Server, patience: float) -> None:
    """Wait until both ports answer: a server opens them when its models are loaded."""
    end = time.monotonic() + patience
    for port in (server.grpc_port, server.rest_port):
        while not is_listening(port):
            if server.process.poll() is not None:
                raise StoreError(f"the model was not loaded: {server.describe()}")
            if time.monotonic() > end:
                raise StoreError(f"the model was not ready within {patience:g} s: {server.describe()}")
            time.sleep(0.05)


def is_listening(port: int, timeout: float = 1.0) -> bool:
    """Whether something listens on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout):
            return True
    except OSError:
        return False


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind((LOOPBACK, 0))
        return first.getsockname()[1], second.getsockname()[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
