"""Measures what the gateway costs: the same prediction through it and from the model server, side by side.

    python -m bench.gateway              after `make run`; a minute

Records are added to .bench/gateway.jsonl, and their table printed.
One model server, one gateway in front of it, one load generator, all on this machine; each round measures all
cases in turn. The gateway runs as `digits app` runs it, but without the limit on requests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records import FOLDER, Record, Run
from bench.report import report
from bench.serving.children import Worker, free_ports, start, stop, wait
from digits import dataset
from digits.runtime.errors import DigitsError
from serving.checks import server_process
from serving.store.pointer import Pointer
from serving.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8)
DIRECT, THROUGH, BYTES = "REST of the model server", "gateway, JSON", "gateway, bytes"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=about)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load per case; default: 2")
    parser.add_argument("--out", type=Path, default=FOLDER / "gateway.jsonl", help="the file of records")
    given = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run = Run(given.out)
    try:
        run.keep(*measure(ROOT, given.rounds, given.seconds))
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(report(run.records()))
    return 0


def measure(root: Path, rounds: int, seconds: float) -> list[Record]:
    """Return a record per case and round: {case, clients, round, p50_ms, requests_per_s, failed}."""
    store = Store(root / "models" / "serving")
    promoted = store.current()
    if promoted is None:
        raise DigitsError("no version is promoted: `make run` first")
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as name:
        scratch = Path(name)
        (scratch / "server").mkdir()
        with server_process.start(Pointer(promoted.base_path, promoted.stable), scratch / "server") as server:
            (port,) = free_ports(1)
            gateway = start_gateway(root, scratch, port, server.grpc_port, {})
            worker = Worker("bench.serving.load", [], root, scratch / "load.log")
            try:
                cases = _cases(scratch, server.rest_port, port)
                return [
                    {"kind": "gateway", "case": case, "clients": clients, "round": turn}
                    | worker.ask(job | {"clients": clients, "seconds": seconds, "warm": 0.3})
                    for turn in range(rounds)
                    for clients in CLIENTS
                    for case, job in cases.items()
                ]
            finally:
                worker.stop()
                stop(gateway)


def start_gateway(
    root: Path, scratch: Path, port: int, server: int, more: dict[str, Any]
) -> subprocess.Popen[str]:
    """Start a gateway in front of a server, and wait until it is ready. more: options. Raises DigitsError."""
    options = {
        "port": port,
        "server": f"localhost:{server}",
        "store": root / "models" / "serving",
        "feedback": f"sqlite:///{scratch / 'feedback.db'}",
        "request-log": scratch / "requests",
        "rate": 0,
    } | more
    given = [f"--{name}={value}" for name, value in options.items()]
    log = scratch / "gateway.log"
    process = start([sys.executable, "-m", "serving.app", *given], root, log)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/readyz", timeout=2) as reply:
                return bool(reply.status == 200)
        except OSError:
            time.sleep(0.1)
            return False

    wait(process, ready, log, "the gateway", 60)
    return process


def _cases(scratch: Path, rest: int, port: int) -> dict[str, dict[str, Any]]:
    image = dataset.load_split(ROOT / "data" / "prepared" / "validation").images[0]
    rows = image.tolist()
    bodies = {
        DIRECT: (rest, "/v1/models/digits:predict", {"instances": [rows]}),
        THROUGH: (port, "/api/predict", {"images": [rows]}),
        BYTES: (port, "/api/predict", image.tobytes()),
    }
    jobs = {}
    for place, (case, (at, path, body)) in enumerate(bodies.items()):
        payload = scratch / f"body-{place}"
        payload.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        jobs[case] = {
            "interface": "rest",
            "target": f"127.0.0.1:{at}",
            "method": path,
            "payload": str(payload),
            "loop": "closed",
            "batch": 1,
            **({"kind": "application/octet-stream"} if isinstance(body, bytes) else {}),
        }
    return jobs


if __name__ == "__main__":
    sys.exit(main())
