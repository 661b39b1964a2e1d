"""Raw records → every target of serving beside its measured value. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Record, of_kind
from bench.serving import figures
from bench.serving.cases import NOOP_REST, PIXELS, PNG
from bench.target import Target

ROLLOUTS, RELOADS = 100, 200  # what the targets speak of; fewer are shown but count for nothing


def goals(records: Sequence[Record]) -> list[Target]:
    """All of them, in the order in which the project states them."""
    return [*_rates(records), *_rollouts(records), *_lifecycle(records)]


def _rates(records: Sequence[Record]) -> list[Target]:
    one = "one image over gRPC, {}: requests/s"
    floor, flask = "× no-op server", "× Flask + `predict`"
    call = figures.against_call(records, 256, 8)
    alone = "× without batching"
    return [
        Target(one.format("1 client"), False, 0.5, figures.against_floor(records, 1), floor),
        Target(one.format("64 clients"), False, 0.5, figures.against_floor(records, 64), floor),
        Target(one.format("8 clients"), False, 40.0, figures.against_flask(records, 8), flask, 1),
        Target("batches of 256 over gRPC, 8 clients: images/s", False, 0.85, call, "× the call in process"),
        Target(
            "batching, one image over gRPC, 64 clients: images/s",
            False,
            1.5,
            figures.joining(records, 64, "images_per_s"),
            alone,
        ),
        Target(
            "batching, one image over gRPC, 1 client: p50", True, 1.3, figures.joining_p50(records, 1), alone
        ),
        *_rest(records),
    ]


def _rest(records: Sequence[Record]) -> list[Target]:
    title = "one image over REST as {}, 1 client: requests/s"
    return [
        Target(
            title.format(sent),
            False,
            0.5,
            figures.rest_against_floor(records, 1, payload, floor),
            f"× no-op server{of}",
        )
        for sent, payload in (("JSON", PIXELS), ("PNG in base64", PNG))
        for floor, of in zip(NOOP_REST, (" without a library", " with the same library"), strict=True)
    ]


def _rollouts(records: Sequence[Record]) -> list[Target]:
    count = figures.rollouts(records)
    ratio = figures.rollout_ratio(records)
    failed = figures.rollout_failures(records)
    enough = count >= ROLLOUTS or failed > 0  # a failure is one however few were tried
    return [
        Target("half of saturation, a rollout every 3 s: p99", True, 3.0, ratio, "× p99 without"),
        Target(f"failed requests in {count} rollouts", True, 0, float(failed) if enough else None, "", 0),
    ]


def _lifecycle(records: Sequence[Record]) -> list[Target]:
    starts = [float(s) for r in of_kind(records, "ready") for s in r["seconds"]]
    refusals = [float(s) for r in of_kind(records, "bad-config") for s in r["seconds"]]
    made = max((len(r["mib"]) - 1 for r in of_kind(records, "reloads")), default=0)
    growth = figures.growth(records) if made >= RELOADS else None
    percent = None if growth is None else 100 * growth
    return [
        Target("ready to answer after a warm start, longest", True, 10.0, max(starts, default=None), "s", 1),
        Target("a bad configuration file is reported, median", True, 0.5, figures.median(refusals), "s"),
        Target(f"memory over {made} reloads, after the first 20", True, 5.0, percent, "% more", 1),
    ]
