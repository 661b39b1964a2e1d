"""Measures a steady load while the pointer alternates between two versions, and the same load without
rollouts.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.records import Record
from bench.serving.cases import GRPC, REST
from bench.serving.children import Worker, resident_mib
from bench.serving.contestants import GRPC_METHOD, Server, pointer
from digits import wire
from digits.runtime.errors import DigitsError

CONNECTIONS = 8  # over which the steady load goes
LOOK = 0.1  # seconds between two looks at which version serves
FOLLOW_LIMIT = 60.0  # seconds for a server to follow the pointer before the bench gives up


def available_versions(server: Server) -> list[int]:
    """Return the versions that accept requests, according to the server's status API."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.ports[REST], timeout=10)) as connection:
        connection.request("GET", f"/v1/models/{wire.MODEL}")
        answer = connection.getresponse()
        states = json.loads(answer.read()).get("model_version_status", [])
    return sorted(int(state["version"]) for state in states if state["state"] == "AVAILABLE")


def wait_for_version(server: Server, version: int, look: float) -> float:
    """Return the seconds until that version alone accepts requests.

    Raises DigitsError when that takes too long.
    """
    began = time.perf_counter()
    while (serving := available_versions(server)) != [version]:
        if time.perf_counter() - began > FOLLOW_LIMIT:
            raise DigitsError(
                f"{server.name} serves {serving or 'nothing'} {FOLLOW_LIMIT:.0f} s after version {version} "
                "was promoted, expected that one alone: see its log"
            )
        time.sleep(look)
    return time.perf_counter() - began


def measure(
    server: Server,
    load: Worker,
    store: Path,
    payload: Path,
    *,
    rate: float,
    every: float,
    total: int,
    block: int,
    quiet: float,
    say: Callable[[str], None],
) -> list[Record]:
    """Measure blocks of `quiet` seconds of load, then the same load with a rollout every `every` seconds.

    A rollout counts when the server has followed it while the load lasts. A server that needs longer than
    `every` makes fewer in a block, so that there are more blocks, up to twice as many.
    """
    job: dict[str, Any] = {"loop": "steady", "interface": GRPC, "target": server.target(GRPC), "rate": rate}
    job |= {"method": GRPC_METHOD, "payload": str(payload), "clients": CONNECTIONS}
    records: list[Record] = []
    done, version, most = 0, 1, 2 * -(-total // block)
    while done < total and len(records) < most:
        count = min(block, total - done)
        say(f"rollouts: {done} of {total} done; {rate:.0f} requests/s")
        still = load.ask(job | {"seconds": quiet})
        load.send(job | {"seconds": count * every})
        end, rolls = time.perf_counter() + count * every, 0
        followed: list[float] = []
        memory: list[float | None] = []
        while (began := time.perf_counter()) < end - every / 2:
            version = 3 - version
            pointer(store, version)
            followed.append(wait_for_version(server, version, LOOK))
            rolls += time.perf_counter() < end
            memory.append(resident_mib(server.process.pid))
            time.sleep(max(0.0, began + every - time.perf_counter()))
        rolling = load.receive()
        for answer in (still, rolling):
            del answer["answer"], answer["histogram"]  # the percentiles are of one block
        done += rolls
        records.append(
            {"kind": "rollouts", "block": len(records) + 1, "rollouts": rolls, "every": every, "rate": rate}
            | {"without": still, "with": rolling, "followed_s": followed, "mib": memory}
        )
    return records
