"""A steady load while the pointer goes to and fro between two versions, and the same load without."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.figures import Record
from bench.serving.cases import GRPC, REST
from bench.serving.children import Worker, resident_mib
from bench.serving.contestants import GRPC_METHOD, Server, pointer
from digits import wire
from digits.errors import DigitsError

CONNECTIONS = 8  # over which the steady load goes
LOOK = 0.1  # seconds between two looks at which version serves
FOLLOW_LIMIT = 60.0  # seconds for a server to follow the pointer before the bench gives up


def available(server: Server) -> list[int]:
    """The versions that take requests, as the server's own status page tells."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.ports[REST], timeout=10)) as connection:
        connection.request("GET", f"/v1/models/{wire.MODEL}")
        answer = connection.getresponse()
        states = json.loads(answer.read()).get("model_version_status", [])
    return sorted(int(state["version"]) for state in states if state["state"] == "AVAILABLE")


def follow(server: Server, version: int, look: float = LOOK) -> float:
    """Seconds until that version alone takes requests. Raises DigitsError when that takes too long."""
    began = time.perf_counter()
    while (found := available(server)) != [version]:
        if time.perf_counter() - began > FOLLOW_LIMIT:
            raise DigitsError(
                f"{server.name} serves {found or 'nothing'} {FOLLOW_LIMIT:.0f} s after version {version} was "
                "promoted, expected that one alone: see its log"
            )
        time.sleep(look)
    return time.perf_counter() - began


def blocks(rollouts: int, size: int) -> list[int]:
    """How the rollouts are cut into blocks, each compared with a load without of its own."""
    return [min(size, rollouts - done) for done in range(0, rollouts, size)]


def measure(
    server: Server,
    load: Worker,
    store: Path,
    payload: Path,
    *,
    rate: float,
    every: float,
    counts: list[int],
    quiet: float,
    say: Callable[[str], None],
) -> list[Record]:
    """A block: `quiet` seconds of load, then the same load with a rollout every `every` seconds."""
    job: dict[str, Any] = {"loop": "steady", "interface": GRPC, "target": server.target(GRPC), "rate": rate}
    job |= {"method": GRPC_METHOD, "payload": str(payload), "clients": CONNECTIONS}
    records: list[Record] = []
    version = 1
    for number, count in enumerate(counts, 1):
        say(f"rollouts: block {number} of {len(counts)}, {count} rollouts at {rate:.0f} requests/s")
        still = load.ask(job | {"seconds": quiet})
        load.send(job | {"seconds": count * every})
        began, followed, memory = time.perf_counter(), [], []
        for turn in range(count):
            version = 3 - version
            pointer(store, version)
            followed.append(follow(server, version))
            memory.append(resident_mib(server.process.pid))
            time.sleep(max(0.0, began + (turn + 1) * every - time.perf_counter()))
        rolling = load.receive()
        for answer in (still, rolling):
            answer.pop("answer")
        records.append(
            {"kind": "rollouts", "block": number, "rollouts": count, "every": every, "rate": rate}
            | {"without": still, "with": rolling, "followed_s": followed, "mib": memory}
        )
    return records
