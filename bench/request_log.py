"""Measures what logging costs at the gateway and the embedded server: requests a second, with it ÷ without.

    python -m bench.request_log          after `make run`; three minutes

For each case two processes run that differ in nothing but their log, and are asked in turn by 8 clients; the
figure is the median of the turns' ratios. Then the time that reading 100,000 logged requests takes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.gateway import start_gateway
from bench.serving.children import Worker, free_ports, stop
from digits import wire
from digits.runtime.errors import DigitsError
from digits_cli.serve import FACTS
from digits_client.codec import Pictures, Pixels, Spec
from digits_client.codec_grpc import GrpcCodec
from serving.app.request_log import RequestFiles
from serving.checks import server_process
from serving.monitoring import facts, logs
from serving.monitoring.facts import DIGIT
from serving.store.pointer import Pointer
from serving.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 8
ROWS = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.request_log", description=about)
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load per turn; default: 2")
    parser.add_argument("--store", type=Path, default=ROOT / "models" / "serving")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows to read; default: {ROWS:,}")
    given = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    promoted = Store(given.store).current()
    try:
        if promoted is None:
            raise DigitsError("no version is promoted: `make run` first")
        with tempfile.TemporaryDirectory(prefix="digits-bench-") as name:
            pointer = Pointer(promoted.base_path, promoted.stable)
            measure(Path(name), given.store, pointer, given.turns, given.seconds)
            read(Path(name) / "day", given.rows)
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measure(scratch: Path, store: Path, pointer: Pointer, turns: int, seconds: float) -> None:
    """Print a line for each case."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_server(scratch, pointer, logged)) for logged in (True, False)]
        ports = free_ports(2)
        for port, logged in zip(ports, (True, False), strict=True):
            stack.enter_context(_gateway(scratch, store, port, servers[1].grpc_port, logged))
        worker = Worker("bench.serving.load", [], ROOT, scratch / "load.log")
        stack.callback(worker.stop)
        grpc = [server.grpc_port for server in servers]
        for case, jobs in _cases(scratch, grpc, ports).items():
            rates: list[tuple[float, float]] = []
            for turn in range(turns):
                order = (0, 1) if turn % 2 == 0 else (1, 0)
                found = {i: worker.ask(jobs[i] | {"seconds": seconds, "warm": 0.3}) for i in order}
                if failed := sum(each["failed"] for each in found.values()):
                    raise DigitsError(f"{case}: {failed} requests failed")
                rates.append((found[0]["requests_per_s"], found[1]["requests_per_s"]))
            ratio = statistics.median(logged / plain for logged, plain in rates)
            plain = statistics.median(plain for _, plain in rates)
            print(f"{case:<40} {ratio:5.2f} of {plain:,.0f}/s", flush=True)


@contextlib.contextmanager
def _server(scratch: Path, pointer: Pointer, logged: bool) -> Iterator[server_process.Server]:
    folder = scratch / f"server-{logged}"
    folder.mkdir()
    command = [sys.executable, "-m", "digits_model_server", "--enable_model_warmup=false"]
    if logged:
        command += [f"--facts_log_prefix={folder / 'server'}", f"--facts_function={FACTS}"]
    with server_process.start(pointer, folder, command) as server:
        yield server


@contextlib.contextmanager
def _gateway(scratch: Path, store: Path, port: int, server: int, logged: bool) -> Iterator[None]:
    folder = scratch / f"gateway-{logged}"
    folder.mkdir()
    options: dict[str, Any] = {"store": store} if logged else {"store": store, "request-log": "none"}
    process: subprocess.Popen[str] = start_gateway(ROOT, folder, port, server, options)
    try:
        yield
    finally:
        stop(process)


def _cases(scratch: Path, grpc: Sequence[int], ports: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """For each case a job with the log and one without."""
    image = np.zeros((28, 28), np.uint8)
    image[5:23, 12:16] = 250  # a one
    stream = io.BytesIO()
    Image.fromarray(255 - image).resize((200, 200)).save(stream, "PNG")
    png, octets = stream.getvalue(), "application/octet-stream"
    model, codec = Spec(wire.MODEL), GrpcCodec()
    pixels, picture = (codec.predict(model, each) for each in (Pixels(image.tobytes(), 1), Pictures([png])))
    asked = {
        "gateway, 28 × 28 bytes": ("rest", ports, "/api/predict", octets, image.tobytes()),
        "gateway, a PNG of 200 × 200": ("rest", ports, "/api/predict", "image/png", png),
        "server, 28 × 28 bytes over gRPC": ("grpc", grpc, pixels.path, "", pixels.body),
        "server, a PNG of 200 × 200 over gRPC": ("grpc", grpc, picture.path, "", picture.body),
    }
    jobs: dict[str, list[dict[str, Any]]] = {}
    for number, (case, (interface, targets, path, kind, body)) in enumerate(asked.items()):
        payload = scratch / f"body-{number}"
        payload.write_bytes(body)
        job: dict[str, Any] = {"interface": interface, "method": path, "kind": kind, "payload": str(payload)}
        job |= {"loop": "closed", "batch": 1, "clients": CLIENTS}
        jobs[case] = [job | {"target": f"127.0.0.1:{port}"} for port in targets]
    return jobs


def read(folder: Path, rows: int) -> None:
    """Print what reading so many rows takes."""
    files = RequestFiles(folder, 1 << 30, 4)
    folder.mkdir()
    rng = np.random.default_rng(1)
    for start in range(0, rows, 1000):
        found = facts.of_images(rng.integers(0, 256, (1000, 28, 28)).astype(np.uint8))
        about = (time.time(), "/api/predict", DIGIT, 200)
        files.write(
            [(*about, f"{start + i:064x}", 3, 0.99, 1, 1, 0.002, None, *row) for i, row in enumerate(found)]
        )
    files.close()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    table = logs.read([folder])
    took = time.process_time() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = sum(path.stat().st_size for path in folder.iterdir()) / (1 << 20)
    print(f"reading {len(table):,} rows of {size:.0f} MiB: {took:.1f} s of CPU, {more:.0f} MiB more memory")


if __name__ == "__main__":
    sys.exit(main())
