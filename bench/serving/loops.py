"""Puts a load on a server: closed (each client asks again once it is answered) or at a steady rate."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.serving.calls import Client, Failed

PATIENCE = 8.0  # a slow server's window may grow by this factor until every client was answered twice
BREATH = 0.01  # seconds after a failure: a refused connection must not become a busy loop
BACKLOG = 5000  # requests on their way in an open loop; beyond it they count as failed, memory is bounded

RANKS = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
TAIL = 3  # requests that have to be slower than a percentile before it is given; fewer are chance
WIDTH = 1.02  # ratio of neighbouring steps of a histogram: its percentiles are right to one per cent


@dataclass
class Tally:
    """The results so far."""

    latencies: list[float] = field(default_factory=list)  # seconds, within the window
    errors: Counter[str] = field(default_factory=Counter)
    total: int = 0  # answered with success, outside the window too
    first: bytes = b""

    def result(self, seconds: float, batch: int, cpu: float) -> dict[str, Any]:
        """Return the load's part of a record. cpu: seconds that the load generator took meanwhile."""
        return {
            **summary(self.latencies, seconds, batch),
            "histogram": histogram(self.latencies),
            "failed": sum(self.errors.values()),
            "errors": dict(self.errors.most_common(3)),
            "total": self.total,
            "client_cpu_share": cpu / seconds,
        }


async def closed(
    clients: Sequence[Client], seconds: float, warm: float, batch: int
) -> tuple[Tally, dict[str, Any]]:
    """Have every client send its next request after each answer.

    Answers in the window after `warm` seconds count.

    The window lasts `seconds`, longer (up to PATIENCE times) where the clients weren't answered twice by
    then. Failures count from the first request on.
    """
    tally = Tally()
    begin, end = math.inf, math.inf

    async def ask(client: Client) -> None:
        while end == math.inf:
            sent = time.perf_counter()
            try:
                body = await client.call()
            except Failed as error:
                tally.errors[str(error)] += 1
                await asyncio.sleep(BREATH)
                continue
            now = time.perf_counter()
            tally.total += 1
            tally.first = tally.first or body
            if begin <= now <= end:
                tally.latencies.append(now - sent)

    tasks = [asyncio.create_task(ask(client)) for client in clients]
    await asyncio.sleep(warm)
    cpu, begin = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    while len(tally.latencies) < 2 * len(clients) and time.perf_counter() - begin < PATIENCE * seconds:
        await asyncio.sleep(seconds / 4)
    end = time.perf_counter()
    cpu = time.process_time() - cpu
    await asyncio.gather(*tasks)
    return tally, tally.result(end - begin, batch, cpu)


async def steady(clients: Sequence[Client], rate: float, seconds: float) -> tuple[Tally, dict[str, Any]]:
    """Send `rate` requests a second, in turn over the connections, whether or not earlier ones were answered.

    A latency counts from the moment at which the request was due: a stall of the server shows in all that
    should have been sent meanwhile.
    """
    tally = Tally()
    flying: set[asyncio.Task[None]] = set()
    cpu, begin = time.process_time(), time.perf_counter()

    async def ask(client: Client, due: float) -> None:
        try:
            body = await client.call()
        except Failed as error:
            tally.errors[str(error)] += 1
            return
        tally.total += 1
        tally.first = tally.first or body
        tally.latencies.append(time.perf_counter() - due)

    for number in range(int(rate * seconds)):
        due = begin + number / rate
        ahead = due - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif number % 64 == 0:
            await asyncio.sleep(0)  # behind: send all that is due, yet let answers in
        if len(flying) >= BACKLOG:
            tally.errors[f"not sent: {BACKLOG} requests were waiting for their answers"] += 1
            continue
        task = asyncio.create_task(ask(clients[number % len(clients)], due))
        flying.add(task)
        task.add_done_callback(flying.discard)
    await asyncio.gather(*flying)
    return tally, tally.result(time.perf_counter() - begin, 1, time.process_time() - cpu)


def percentile(ordered: Sequence[float], rank: float) -> float | None:
    """Return the value that a share `rank` of the sorted ones does not exceed; None where the tail is too
    thin.
    """
    if not enough(len(ordered), rank):
        return None
    return ordered[max(0, math.ceil(rank * len(ordered)) - 1)]


def enough(n: int, rank: float) -> bool:
    """Return whether a percentile of n requests is meaningful: at least TAIL of them lie beyond it."""
    return n > 0 and (rank <= 0.5 or n * (1 - rank) >= TAIL - 1e-9)


def histogram(latencies: Iterable[float]) -> dict[str, int]:
    """Return counts by steps on a logarithmic scale of milliseconds; small, and those of several rounds add
    up.
    """
    return dict(Counter(str(round(math.log(1000 * seconds, WIDTH))) for seconds in latencies))


def summary(latencies: Sequence[float], seconds: float, batch: int) -> dict[str, Any]:
    """Return rates and percentiles of the requests answered within a window. latencies: seconds each."""
    ordered = sorted(latencies)
    figures: dict[str, Any] = {
        "n": len(ordered),
        "seconds": seconds,
        "requests_per_s": len(ordered) / seconds,
        "images_per_s": batch * len(ordered) / seconds,
    }
    for name, rank in RANKS.items():
        value = percentile(ordered, rank)
        figures[name] = None if value is None else 1000 * value
    figures["max_ms"] = 1000 * ordered[-1] if ordered else None
    return figures
