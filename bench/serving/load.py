"""The load generator: takes jobs as lines of JSON on stdin and answers with results on stdout.

Started by bench.serving, a process of its own that lives through the whole bench: each case starts at once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

from bench.serving.calls import Client, GrpcClient, HttpClient
from bench.serving.loops import closed, steady

TIMEOUT = 30.0  # seconds for one answer


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    payload = Path(job["payload"]).read_bytes()
    clients = [_client(job, payload) for _ in range(job.get("clients", 1))]
    try:
        if job["loop"] == "once":
            return {"answer": base64.b64encode(await clients[0].call()).decode()}
        if job["loop"] == "closed":
            tally, result = await closed(clients, job["seconds"], job["warm"], job["batch"])
        else:
            tally, result = await steady(clients, job["rate"], job["seconds"])
        return {**result, "answer": base64.b64encode(tally.first).decode()}
    finally:
        for client in clients:
            await client.close()


def _client(job: dict[str, Any], payload: bytes) -> Client:
    if job["interface"] == "grpc":
        return GrpcClient(job["target"], job["method"], payload, TIMEOUT)
    return HttpClient(job["target"], job["method"], payload, TIMEOUT, job.get("kind", "application/json"))


def main() -> None:
    """Serve jobs until stdin ends. A job that fails as a whole answers {"error": …}."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            try:
                answer = runner.run(_run(json.loads(line)))
            except Exception as error:  # the parent tells the person; this process goes on
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
