"""Prints the records of the serving bench as tables in Markdown.

    python -m bench.serving.report .bench/serving.jsonl

`python -m bench.serving` prints this at its end. Ratios are taken within a round, and their median is given.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bench.records import Record, read
from bench.report import NONE, median, number, origin, pairs, percent, select, table
from bench.serving.cases import (
    BATCHES,
    FASTAPI,
    FLASK,
    GRPC,
    JOINING,
    LOGGING,
    NOOP_GRPC,
    NOOP_REST,
    OURS,
    PIXELS,
    PNG,
    REAL,
    REST,
    Case,
)
from bench.serving.loops import RANKS, WIDTH, enough
from digits.runtime.errors import DataError, DigitsError

TITLES = {
    OURS: "embedded server",
    JOINING: "embedded server, batching",
    LOGGING: "embedded server, logging",
    REAL: "`tensorflow_model_server`",
    NOOP_GRPC[0]: "no-op, asyncio",
    NOOP_GRPC[1]: "no-op, threads",
    NOOP_REST[0]: "no-op, bare asyncio",
    NOOP_REST[1]: "no-op, aiohttp",
    FLASK: "Flask + `model.predict`",
    FASTAPI: "FastAPI + SavedModel",
}
SENT = {
    (GRPC, PIXELS): "gRPC, uint8",
    (GRPC, PNG): "gRPC, PNG",
    (REST, PIXELS): "REST, JSON",
    (REST, PNG): "REST, PNG as base64",
}
TIMES = ["p50 ms", "p99 ms", "p99.9 ms", "server CPU ms", "client CPU", "failed"]
SETTLE = 20  # reloads after which memory should stay as it is
SPAN = 5  # readings whose median is compared


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; return the exit code."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.serving.report", description=about)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file of records, one per line")
    try:
        print(report(read(*parser.parse_args(argv).files)))
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def report(records: Sequence[Record]) -> str:
    """Return what was measured, on what, and the tables. Raises DataError where there are no records."""
    parts = [f"## {title}\n\n{text}" for title, make in TABLES.items() if (text := make(records))]
    if not parts:
        raise DataError(f"none of the {len(records)} records can be shown: is it the file of another bench?")
    absent = {
        f"- left out: {TITLES[r['server']]}: {r['reason']}": 1 for r in select(records, kind="left-out")
    }
    return "\n\n".join(["\n".join([origin(records), *absent]), *parts])


# --- figures


def case_of(record: Record) -> Case:
    """Return the case of a record."""
    return Case(*(record[key] for key in ("server", "interface", "payload", "batch", "clients")))


def runs(records: Iterable[Record], case: Case) -> list[Record]:
    """Return the records of a case, one per round."""
    return [r for r in select(records, kind="case") if case_of(r) == case]


def value(records: Iterable[Record], case: Case, key: str) -> float | None:
    """Return the median of a figure over the rounds."""
    return median(r[key] for r in runs(records, case))


def pool(histograms: Iterable[Mapping[str, int]], rank: float) -> float | None:
    """Return a percentile, in milliseconds, over several histograms; None where the tail is too thin."""
    counts: Counter[int] = Counter()
    for each in histograms:
        counts.update({int(step): n for step, n in each.items()})
    total = sum(counts.values())
    if not enough(total, rank):
        return None
    wanted, seen, step = math.ceil(rank * total), 0, 0
    for step in sorted(counts):
        seen += counts[step]
        if seen >= wanted:
            break
    return float(WIDTH**step)


def latency(records: Iterable[Record], case: Case, rank: float) -> float | None:
    """Return a percentile, in milliseconds, of the requests of all rounds together."""
    return pool((r["histogram"] for r in runs(records, case)), rank)


def ratio(ours: Iterable[Record], base: Iterable[Record], key: str = "requests_per_s") -> float | None:
    """Return the median over the rounds that have both."""
    return median(a / b for a, b in pairs(ours, base, key, "round"))


def floor(records: Iterable[Record], clients: int) -> list[Record]:
    """Return the better no-op server over gRPC in each round, with single images."""
    records = list(records)
    no_ops = [r for name in NOOP_GRPC for r in runs(records, Case(name, GRPC, PIXELS, 1, clients))]
    best = {(r["date"], r["round"]): r for r in sorted(no_ops, key=lambda r: float(r["requests_per_s"]))}
    return list(best.values())


def growth(record: Record) -> float | None:
    """Return memory at the end ÷ after the first SETTLE reloads, less one; None with too few readings."""
    memory = [float(m) for m in record["mib"] if m is not None]
    if len(memory) < SETTLE + 2 * SPAN:
        return None
    now, then = median(memory[-SPAN:]), median(memory[SETTLE + 1 - SPAN : SETTLE + 1])
    return now / then - 1 if now and then else None


# --- tables


def _ratios(records: Sequence[Record]) -> str:
    def ours(
        clients: int, server: str = OURS, sent: tuple[str, str] = (GRPC, PIXELS), batch: int = 1
    ) -> Case:
        return Case(server, *sent, batch, clients)

    def against(case: Case, base: Case, key: str = "requests_per_s") -> float | None:
        return ratio(runs(records, case), runs(records, base), key)

    called = select(records, kind="in-process", batch=256)
    lone = [latency(records, ours(1, name), 0.5) for name in (JOINING, OURS)]
    ratios = [
        (
            f"one image over gRPC, {n}: requests/s",
            "no-op server",
            ratio(runs(records, ours(k)), floor(records, k)),
        )
        for k, n in ((1, "1 client"), (64, "64 clients"))
    ]
    ratios += [
        ("one image over gRPC, 8 clients: requests/s", "Flask + `predict`",
         against(ours(8), ours(8, FLASK, (REST, PIXELS)))),
        ("batches of 256 over gRPC, 8 clients: images/s", "the call in process",
         ratio(runs(records, ours(8, batch=256)), called, "images_per_s")),
        ("batching, one image over gRPC, 64 clients: images/s", "without batching",
         against(ours(64, JOINING), ours(64), "images_per_s")),
        ("every request logged, one image over gRPC, 8 clients: server CPU", "without a log",
         _logged(records)),
        ("batching, one image over gRPC, 1 client: p50", "without batching",
         lone[0] / lone[1] if lone[0] and lone[1] else None),
    ]  # fmt: skip
    ratios += [
        (f"one image over {SENT[REST, payload]}, 1 client: requests/s", TITLES[name],
         against(ours(1, OURS, (REST, payload)), ours(1, name, (REST, PIXELS))))
        for payload in (PIXELS, PNG)
        for name in NOOP_REST
    ]  # fmt: skip
    rows = [[what, base, number(share, 2)] for what, base, share in ratios if share is not None]
    return table(["within a round", "÷", "ratio"], rows, left=2) if rows else ""


def _logged(records: Sequence[Record]) -> float | None:
    """Return the CPU of a logged request ÷ that of another one: the median of the turns."""
    turns = [turn for r in select(records, kind="logging") for turn in r["server_cpu_ms"]]
    return median(turn[LOGGING] / turn[OURS] for turn in turns if turn[LOGGING] and turn[OURS])


def _every(records: Iterable[Record]) -> list[Case]:
    """Return all cases that were measured, in order."""
    return list(dict.fromkeys(case_of(r) for r in select(records, kind="case")))


def _cells(records: Sequence[Record], case: Case) -> list[str]:
    """Return the row of a case, after its name."""
    share = value(records, case, "client_cpu_share")
    return [
        number(value(records, case, "requests_per_s"), 0 if case.server != FLASK else 1),
        *([number(value(records, case, "images_per_s"), 0)] if case.batch > 1 else []),
        *(number(latency(records, case, rank), 2) for rank in RANKS.values()),
        number(value(records, case, "server_cpu_ms"), 3),
        f"{percent(share, 0)} %",
        str(sum(r["failed"] for r in runs(records, case))),
    ]


def _single(records: Sequence[Record]) -> str:
    every = [case for case in _every(records) if case.batch == 1]
    parts = []
    for clients in sorted({case.clients for case in every}):
        rows = [
            [f"{TITLES[case.server]}, {SENT[case.interface, case.payload]}", *_cells(records, case)]
            for case in every
            if case.clients == clients
        ]
        parts.append(f"### {clients} client{'s' * (clients > 1)}")
        parts.append(table(["server", "requests/s", *TIMES], rows))
    return "\n\n".join(parts)


def _batches(records: Sequence[Record]) -> str:
    rows = []
    for batch in BATCHES:
        if called := select(records, kind="in-process", batch=batch):
            rate = median(r["images_per_s"] for r in called) or 0.0
            cells = [number(rate / batch, 0), number(rate, 0), *[NONE] * len(TIMES)]
            rows.append([f"{batch} images, called in process", *cells])
        every = [case for case in _every(records) if case.batch == batch > 1]
        for case in sorted(every, key=lambda c: (c.server, c.clients)):
            name = f"{batch} images, {TITLES[case.server]}, {case.clients} client{'s' * (case.clients > 1)}"
            rows.append([name, *_cells(records, case)])
    return table(["gRPC, uint8", "requests/s", "images/s", *TIMES], rows) if rows else ""


def _rollouts(records: Sequence[Record]) -> str:
    blocks = select(records, kind="rollouts")
    rows = []
    for r in blocks:
        for name, load in (("without", r["without"]), ("with", r["with"])):
            counts = [str(r["rollouts"]) if name == "with" else NONE, str(load["n"])]
            times = [number(load[key], 2) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
            followed = number(median(r["followed_s"]), 2) if name == "with" else NONE
            rows.append([f"{r['block']}, {name}", *counts, *times, str(load["failed"]), followed])
    if not rows:
        return ""
    tails = [(r["with"]["p99_ms"], r["without"]["p99_ms"]) for r in blocks]
    harm = number(median(a / b for a, b in tails if a is not None and b), 2)
    text = (
        f"{sum(r['rollouts'] for r in blocks)} rollouts, one every {blocks[0]['every']:g} s, at "
        f"{blocks[0]['rate']:.0f} single images a second over gRPC. Median p99 ratio of the blocks: {harm}."
    )
    head = ["block", "rollouts", "requests", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "failed"]
    return text + "\n\n" + table([*head, "followed after s"], rows)


def _lifecycle(records: Sequence[Record]) -> str:
    lines = [
        f"- Ready after {_seconds(r['seconds'], 1)} s: from the command to a version that answers."
        for r in select(records, kind="ready")
    ]
    for r in select(records, kind="bad-config"):
        lines.append(
            f"- A bad configuration file is reported, and the process ended, in {_seconds(r['seconds'])} s."
        )
    for r in select(records, kind="reloads"):
        memory = r["mib"]
        shown = (
            f"{number(memory[at], 0)} ({at})" for at in (0, 1, 20, 50, 100, 150, 200) if at < len(memory)
        )
        more = growth(r)
        since = "" if more is None else f", {percent(more, 1)} % more than after {SETTLE}"
        lines.append(
            f"- Memory in MiB after so many reloads: {', '.join(shown)}; at the end {number(memory[-1], 0)} "
            f"({len(memory) - 1}){since}. A reload takes {number(r['cpu_s'])} CPU-s of the server."
        )
    return "\n".join(lines)


def _seconds(values: Iterable[float], digits: int = 2) -> str:
    return ", ".join(number(each, digits) for each in values)


TABLES: dict[str, Callable[[Sequence[Record]], str]] = {
    "Ratios": _ratios,
    "Single images": _single,
    "Batches": _batches,
    "Rollouts under load": _rollouts,
    "Start, refusal, memory": _lifecycle,
}


if __name__ == "__main__":
    sys.exit(main())
