"""Raw records of a serving bench → the figures that its tables and targets quote. Pure.

A record is a line of the raw file; its "kind" is header, left-out, case, in-process, rollouts, ready,
bad-config or reloads. Ratios are taken within a round, and their median counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.figures import Record, of_kind
from bench.serving.cases import FLASK, GRPC, JOINING, NOOP_GRPC, NOOP_REST, OURS, PIXELS, REST, Case
from bench.serving.summary import pooled

SETTLE = 20  # reloads after which memory has to stay flat
SPAN = 5  # samples whose median stands for "then" and "now"


def median(values: Iterable[float | None]) -> float | None:
    """Median of what is there; None of nothing."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def runs(records: Sequence[Record], case: Case) -> list[Record]:
    """The records of a case, by round."""
    found = [r for r in of_kind(records, "case") if of(r) == case]
    return sorted(found, key=lambda record: int(record["round"]))


def of(record: Record) -> Case:
    """The case that a record is of."""
    return Case(
        record["server"], record["interface"], record["payload"], int(record["batch"]), int(record["clients"])
    )


def every_case(records: Sequence[Record]) -> list[Case]:
    """All that were measured, in the order of the first round."""
    return list(dict.fromkeys(of(r) for r in of_kind(records, "case")))


def value(records: Sequence[Record], case: Case, key: str) -> float | None:
    """Median of a field over the rounds."""
    return median(r[key] for r in runs(records, case))


def latency(records: Sequence[Record], case: Case, rank: float) -> float | None:
    """A percentile, in milliseconds, of the requests of all rounds together."""
    return pooled((r["histogram"] for r in runs(records, case)), rank)


def by_round(records: Sequence[Record], case: Case, key: str = "requests_per_s") -> dict[int, float]:
    """Round → a field."""
    return {int(r["round"]): float(r[key]) for r in runs(records, case)}


def floor(records: Sequence[Record], clients: int) -> dict[int, float]:
    """Round → requests/s of the better no-op gRPC server with single images."""
    servers = [by_round(records, Case(name, GRPC, PIXELS, 1, clients)) for name in NOOP_GRPC]
    rounds = set().union(*servers)
    return {number: max(s[number] for s in servers if number in s) for number in rounds}


def ratio(above: dict[int, float], below: dict[int, float]) -> float | None:
    """Median over the rounds that have both."""
    return median(above[number] / below[number] for number in above if below.get(number))


def against_floor(records: Sequence[Record], clients: int, server: str = OURS) -> float | None:
    """Requests/s of single images over gRPC ÷ those of the no-op server."""
    return ratio(by_round(records, Case(server, GRPC, PIXELS, 1, clients)), floor(records, clients))


def rest_against_floor(
    records: Sequence[Record], clients: int, payload: str, floor: str = NOOP_REST[0]
) -> float | None:
    """Requests/s of single images over REST ÷ those of a no-op server, which takes JSON pixels."""
    ours = by_round(records, Case(OURS, REST, payload, 1, clients))
    return ratio(ours, by_round(records, Case(floor, REST, PIXELS, 1, clients)))


def joining(records: Sequence[Record], clients: int, key: str) -> float | None:
    """A field of single images over gRPC with batching ÷ that without."""
    on = by_round(records, Case(JOINING, GRPC, PIXELS, 1, clients), key)
    return ratio(on, by_round(records, Case(OURS, GRPC, PIXELS, 1, clients), key))


def joining_p50(records: Sequence[Record], clients: int) -> float | None:
    """The same of the median latency over all rounds."""
    on, off = (latency(records, Case(name, GRPC, PIXELS, 1, clients), 0.5) for name in (JOINING, OURS))
    return None if on is None or off is None else on / off


def against_flask(records: Sequence[Record], clients: int) -> float | None:
    """Requests/s of single images over gRPC ÷ those of the tutorial's server."""
    ours = by_round(records, Case(OURS, GRPC, PIXELS, 1, clients))
    return ratio(ours, by_round(records, Case(FLASK, REST, PIXELS, 1, clients)))


def against_call(records: Sequence[Record], batch: int, clients: int) -> float | None:
    """Images/s of batches over gRPC ÷ those of calling the SavedModel in a process."""
    calls = [r for r in of_kind(records, "in-process") if int(r["batch"]) == batch]
    called = {int(r["round"]): float(r["images_per_s"]) for r in calls}
    return ratio(by_round(records, Case(OURS, GRPC, PIXELS, batch, clients), "images_per_s"), called)


def rollouts(records: Sequence[Record]) -> int:
    """How many were made under load."""
    return sum(int(r["rollouts"]) for r in of_kind(records, "rollouts"))


def rollout_ratio(records: Sequence[Record], key: str = "p99_ms") -> float | None:
    """A percentile with rollouts ÷ without, within a block; the median of the blocks."""
    pairs = [(r["with"][key], r["without"][key]) for r in of_kind(records, "rollouts")]
    return median(a / b for a, b in pairs if a is not None and b)


def rollout_failures(records: Sequence[Record]) -> int:
    """Requests that failed while versions were exchanged."""
    return sum(int(r["with"]["failed"]) for r in of_kind(records, "rollouts"))


def growth(records: Sequence[Record]) -> float | None:
    """Memory at the end ÷ after the first SETTLE reloads, less one; None with too few readings."""
    for record in of_kind(records, "reloads"):
        memory = [float(m) for m in record["mib"] if m is not None]
        if len(memory) >= SETTLE + 2 * SPAN:
            then = statistics.median(memory[SETTLE + 1 - SPAN : SETTLE + 1])
            return statistics.median(memory[-SPAN:]) / then - 1
    return None
