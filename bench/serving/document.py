"""Raw records → docs/results-serving.md. Pure: every number is computed from the records."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Record, header, of_kind
from bench.serving import figures
from bench.serving.cases import (
    BATCHES,
    FASTAPI,
    FLASK,
    JOINING,
    NOOP_GRPC,
    NOOP_REST,
    OURS,
    PIXELS,
    PNG,
    REAL,
    Case,
)
from bench.serving.goals import goals
from bench.serving.summary import RANKS
from bench.table import NONE, UNMEASURED, number, table
from bench.target import Target

TITLES = {
    OURS: "embedded server",
    JOINING: "embedded server, batching",
    REAL: "`tensorflow_model_server`",
    NOOP_GRPC[0]: "no-op, asyncio",
    NOOP_GRPC[1]: "no-op, threads",
    NOOP_REST[0]: "no-op, bare asyncio",
    NOOP_REST[1]: "no-op, aiohttp",
    FLASK: "Flask + `model.predict`",
    FASTAPI: "FastAPI + SavedModel",
}
SENT = {
    ("grpc", PIXELS): "gRPC, uint8",
    ("grpc", PNG): "gRPC, PNG",
    ("rest", PIXELS): "REST, JSON",
    ("rest", PNG): "REST, PNG as base64",
}
NOTHING = UNMEASURED.capitalize() + "."


def document(records: list[Record]) -> str:
    """The whole document."""
    trial = ["**A trial of the bench itself: its figures mean nothing.**"] if header(records)["quick"] else []
    parts = [
        "# Results: serving",
        "Written by `make bench-serving` from its raw records: change nothing here by hand, run it again. "
        "Those of training are in [results.md](results.md).",
        *trial,
        _machine(records),
        "## Targets",
        _targets(records),
        "## Single images",
        _single(records),
        "## Batches",
        _batches(records),
        "## Rollouts under load",
        _rollouts(records),
        "## Start, refusal, memory",
        _lifecycle(records),
        "## How it is measured",
        METHOD,
    ]
    return "\n\n".join(parts) + "\n"


METHOD = """\
- Each server runs in a process of its own, all of them at once; those that are not asked are idle. The load
  comes from one more process on the same machine, so that clients and server share the cores: a server whose
  clients are elsewhere has more of the machine. `client CPU` tells how much of one core the load took.
- Closed loop: each client has its own connection, sends bytes made before, waits for the answer, sends again.
  What is answered within the window counts, after a warm-up. Latencies are the client's.
- Latencies are of all rounds together; a percentile is given where at least three requests were slower.
- Rounds: each case once a round; what is compared stands side by side, and every second round runs backwards.
  Rates are medians over the rounds; a ratio is taken within a round.
- The no-op gRPC servers parse the same request and build the same answer, with made-up values; the better of
  the two in a round is the floor. One no-op REST server is a bare asyncio protocol, the other is aiohttp,
  which the embedded server has too; both read and write with `json`. All others answer with the same
  network's output, and the first answer of each case is compared with what the model says without a server.
- Flask runs its own threaded server and calls Keras's `model.predict`, as tutorials do. FastAPI calls the
  SavedModel in a plain function on one uvicorn worker.
- The call in process goes from NumPy to NumPy through the loaded SavedModel's signature, one after another.
- Rollouts: requests at half the rate that 64 clients reached, sent when they are due whether or not earlier
  ones were answered; latency counts from that moment. A rollout replaces the pointer file; the server polls
  it each second. Each block is compared with its own load without rollouts, just before.
- Memory: resident set of an idle server after each reload by HandleReloadConfigRequest, to and fro between
  two versions; the median of the last five readings against that of reloads 16 to 20."""


def _machine(records: list[Record]) -> str:
    first = header(records)
    machine = first["machine"]
    dirty = ", with changes that are not committed" if first["dirty"] else ""
    rows = [
        ["machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB"],
        ["software", machine["software"]],
        ["commit", f"`{first['commit']}`{dirty}"],
        ["date", first["date"]],
        ["command", f"`{first['command']}`"],
        ["load before it began", f"{machine['load']:.1f} processes"],
        ["rounds", str(first["rounds"])],
    ]
    rows += [["left out", f"{TITLES[r['server']]}: {r['reason']}"] for r in of_kind(records, "left-out")]
    return table(["", ""], rows, left=2)


def _targets(records: list[Record]) -> str:
    found = goals(records)
    counted = [target.met for target in found if target.met is not None]
    missing = len(found) - len(counted)
    text = f"{sum(counted)} of {len(counted)} measured targets met"
    text += f", {missing} not measured in this run." if missing else "."
    rows = [[t.what, _limit(t), _measured(t), _outcome(t)] for t in found]
    return text + "\n\n" + table(["target", "limit", "measured", ""], rows)


def _limit(target: Target) -> str:
    return f"{'≤' if target.at_most else '≥'} {target.limit:,g} {target.unit}".strip()


def _measured(target: Target) -> str:
    if target.measured is None:
        return UNMEASURED
    return f"{number(target.measured, target.digits)} {target.unit}".strip()


def _outcome(target: Target) -> str:
    return NONE if target.met is None else "met" if target.met else "**not met**"


def _cells(records: list[Record], case: Case) -> list[str]:
    """What a row tells of a case, after its name."""
    images = figures.value(records, case, "images_per_s")
    times = [number(figures.latency(records, case, rank), 2) for rank in RANKS.values()]
    share = figures.value(records, case, "client_cpu_share")
    taken = figures.value(records, case, "server_cpu_ms")
    failed = sum(int(r["failed"]) for r in figures.runs(records, case))
    percent = NONE if share is None else f"{100 * share:.0f} %"
    return [
        number(figures.value(records, case, "requests_per_s"), 0 if case.server != FLASK else 1),
        *([number(images, 0)] if case.batch > 1 else []),
        *times,
        number(taken, 3),
        percent,
        str(failed),
    ]


TIMES = ["p50 ms", "p99 ms", "p99.9 ms", "server CPU ms", "client CPU", "failed"]


def _single(records: list[Record]) -> str:
    found = [case for case in figures.every_case(records) if case.batch == 1]
    parts = []
    for clients in sorted({case.clients for case in found}):
        rows = [
            [f"{TITLES[case.server]}, {SENT[case.interface, case.payload]}", *_cells(records, case)]
            for case in found
            if case.clients == clients
        ]
        parts.append(f"### {clients} client{'s' if clients > 1 else ''}")
        parts.append(table(["server", "requests/s", *TIMES], rows))
    return "\n\n".join(parts) or NOTHING


def _batches(records: list[Record]) -> str:
    found = [case for case in figures.every_case(records) if case.batch > 1]
    calls = of_kind(records, "in-process")
    if not found and not calls:
        return NOTHING
    rows = []
    for batch in BATCHES:
        called = [float(r["images_per_s"]) for r in calls if int(r["batch"]) == batch]
        if called:
            rate = figures.median(called)
            times = [number(rate / batch if rate else None, 0), number(rate, 0)]
            rows.append([f"{batch} images, called in process", *times, *[NONE] * len(TIMES)])
        for case in sorted((c for c in found if c.batch == batch), key=lambda c: (c.server, c.clients)):
            plural = "s" if case.clients > 1 else ""
            name = f"{batch} images, {TITLES[case.server]}, {case.clients} client{plural}"
            rows.append([name, *_cells(records, case)])
    return table(["gRPC, uint8", "requests/s", "images/s", *TIMES], rows)


def _rollouts(records: list[Record]) -> str:
    rows = []
    for r in of_kind(records, "rollouts"):
        for name in ("without", "with"):
            run = r[name]
            followed = number(figures.median(r["followed_s"]), 2) if name == "with" else NONE
            rows.append(
                [
                    f"{r['block']}, {name}",
                    str(r["rollouts"]) if name == "with" else NONE,
                    str(run["n"]),
                    *(number(run[key], 2) for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms")),
                    str(run["failed"]),
                    followed,
                ]
            )
    if not rows:
        return NOTHING
    first = of_kind(records, "rollouts")[0]
    ratio = number(figures.rollout_ratio(records), 2)
    text = (
        f"{figures.rollouts(records)} rollouts, one every {first['every']:g} s, at {first['rate']:.0f} "
        f"single images a second over gRPC. Median p99 ratio of the blocks: {ratio}."
    )
    head = ["block", "rollouts", "requests", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "failed"]
    return text + "\n\n" + table([*head, "followed after s"], rows)


def _lifecycle(records: Sequence[Record]) -> str:
    lines = []
    for r in of_kind(records, "ready"):
        lines.append(
            f"- Ready after {_seconds(r['seconds'], 1)} s: from the command to a version that answers."
        )
    for r in of_kind(records, "bad-config"):
        took = _seconds(r["seconds"])
        lines.append(f"- A bad configuration file is reported, and the process ended, in {took} s.")
    for r in of_kind(records, "reloads"):
        memory = r["mib"]
        shown = [place for place in (0, 1, 20, 50, 100, 150, 200) if place < len(memory)]
        listed = ", ".join(f"{number(memory[place], 0)} ({place})" for place in shown)
        lines.append(
            f"- Memory in MiB after so many reloads: {listed}; at the end {number(memory[-1], 0)} "
            f"({len(memory) - 1}). A reload takes {number(r['cpu_s'])} CPU-s of the server."
        )
    return "\n".join(lines) or NOTHING


def _seconds(values: list[float], digits: int = 2) -> str:
    return ", ".join(number(value, digits) for value in values)
