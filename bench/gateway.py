"""What the gateway costs: the same prediction through it and from the model server directly, side by side.

    python -m bench.gateway              after `make run`; a minute, and it prints the table
    python -m bench.gateway --write      puts it into docs/results.md too

One model server, one gateway before it, one load generator, all on this machine; rounds go through all cases
in turn. The gateway runs as `digits app` does, but for the limit of requests.
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
from statistics import median
from typing import Any

from bench import section
from bench.machine import commit, machine
from bench.serving.children import Worker, free_ports, start, stop, wait
from bench.table import number, table
from bench.target import Target
from digits import dataset
from digits.errors import DigitsError
from serving import sandbox
from serving.pointer import Pointer
from serving.store import Store

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8)
DIRECT, THROUGH, BYTES = "REST of the model server", "gateway, JSON", "gateway, bytes"
ADDED, SHARE = 3.0, 0.5  # ms at one client; of the requests a second at eight


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=about)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a case is measured; default: 2")
    parser.add_argument("--write", action="store_true", help="into docs/results.md")
    given = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        records = measured(ROOT, given.rounds, given.seconds)
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    text = document(records, machine(), commit(ROOT))
    print(text)
    if given.write:
        section.write(ROOT, "gateway", text)
    return 0


def measured(root: Path, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Every case in every round: {case, clients, round, p50_ms, requests_per_s, failed}."""
    store = Store(root / "models" / "serving")
    promoted = store.current()
    if promoted is None:
        raise DigitsError("no version is promoted: `make run` first")
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as name:
        scratch = Path(name)
        (scratch / "server").mkdir()
        with sandbox.running(Pointer(promoted.base_path, promoted.stable), scratch / "server") as server:
            (port,) = free_ports(1)
            gateway = _gateway(root, scratch, port, server.grpc_port)
            worker = Worker("bench.serving.load", [], root, scratch / "load.log")
            try:
                cases = _cases(scratch, server.rest_port, port)
                return [
                    {"case": case, "clients": clients, "round": turn}
                    | worker.ask(job | {"clients": clients, "seconds": seconds, "warm": 0.3})
                    for turn in range(rounds)
                    for clients in CLIENTS
                    for case, job in cases.items()
                ]
            finally:
                worker.stop()
                stop(gateway)


def _gateway(root: Path, scratch: Path, port: int, server: int) -> subprocess.Popen[str]:
    options = {
        "port": port,
        "server": f"localhost:{server}",
        "store": root / "models" / "serving",
        "feedback": f"sqlite:///{scratch / 'feedback.db'}",
        "request-log": scratch / "requests",
        "rate": 0,
    }
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
    made = {
        DIRECT: (rest, "/v1/models/digits:predict", {"instances": [rows]}),
        THROUGH: (port, "/api/predict", {"images": [rows]}),
        BYTES: (port, "/api/predict", image.tobytes()),
    }
    found = {}
    for number_, (case, (at, path, body)) in enumerate(made.items()):
        payload = scratch / f"body-{number_}"
        payload.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        found[case] = {
            "interface": "rest",
            "target": f"127.0.0.1:{at}",
            "method": path,
            "payload": str(payload),
            "loop": "closed",
            "batch": 1,
            **({"kind": "application/octet-stream"} if isinstance(body, bytes) else {}),
        }
    return found


def document(records: Sequence[dict[str, Any]], about: dict[str, Any], at: tuple[str, bool]) -> str:
    """The part of docs/results.md."""
    goals = targets(records)
    rows = [
        [case, *(cell for n in CLIENTS for cell in _cells(records, case, n))]
        for case in (DIRECT, THROUGH, BYTES)
    ]
    columns = (f"{what}, {n} client{'s' * (n > 1)}" for n in CLIENTS for what in ("p50 ms", "requests/s"))
    head = ["one image a request", *columns]
    told = [
        f"- {goal.what} {'≤' if goal.at_most else '≥'} {goal.limit:g}{goal.unit}: "
        f"{number(goal.measured, goal.digits)}{goal.unit}, {'met' if goal.met else '**missed**'}"
        for goal in goals
    ]
    rounds = 1 + max(record["round"] for record in records)
    failed = sum(record["failed"] for record in records)
    where = f"{about['cores']} cores of {about['cpu']}, commit {at[0]}{', with changes' if at[1] else ''}"
    return "\n".join(
        [
            "## The gateway",
            "",
            f"`python -m bench.gateway`: medians of {rounds} rounds, {failed} failed requests; {where}.",
            "Server, gateway and load generator share the machine. Ratios are taken within a round.",
            "",
            table(head, rows),
            "",
            *told,
        ]
    )


def _cells(records: Sequence[dict[str, Any]], case: str, clients: int) -> list[str]:
    own = [record for record in records if (record["case"], record["clients"]) == (case, clients)]
    return [
        number(median(record["p50_ms"] for record in own), 2),
        number(median(record["requests_per_s"] for record in own), 0),
    ]


def targets(records: Sequence[dict[str, Any]]) -> list[Target]:
    """What was asked for, beside what was measured: JSON against JSON."""
    by = {(record["round"], record["case"], record["clients"]): record for record in records}
    rounds = sorted({record["round"] for record in records})
    added = median(by[r, THROUGH, 1]["p50_ms"] - by[r, DIRECT, 1]["p50_ms"] for r in rounds)
    share = median(by[r, THROUGH, 8]["requests_per_s"] / by[r, DIRECT, 8]["requests_per_s"] for r in rounds)
    return [
        Target("the gateway adds to a prediction, median", True, ADDED, added, " ms"),
        Target("requests a second at 8 clients, of the model server's own REST", False, SHARE, share, " ×"),
    ]


if __name__ == "__main__":
    sys.exit(main())
