"""Latencies of requests → what a record keeps of them. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RANKS = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
TAIL = 3  # requests that have to be slower than a percentile before it is given; fewer are chance
WIDTH = 1.02  # ratio of neighbouring steps of a histogram: its percentiles are right to one per cent


def percentile(ordered: Sequence[float], rank: float) -> float | None:
    """The value that a share `rank` of the sorted ones does not exceed; None where the tail is too thin."""
    if not _enough(len(ordered), rank):
        return None
    return ordered[max(0, math.ceil(rank * len(ordered)) - 1)]


def _enough(n: int, rank: float) -> bool:
    return n > 0 and (rank <= 0.5 or n * (1 - rank) >= TAIL - 1e-9)


def histogram(latencies: Iterable[float]) -> dict[str, int]:
    """Step on a logarithmic scale of milliseconds → requests; small, and those of several rounds add up."""
    return dict(Counter(str(round(math.log(1000 * seconds, WIDTH))) for seconds in latencies))


def pooled(histograms: Iterable[Mapping[str, int]], rank: float) -> float | None:
    """A percentile, in milliseconds, over some histograms together; None where the tail is too thin."""
    counts: Counter[int] = Counter()
    for each in histograms:
        counts.update({int(step): n for step, n in each.items()})
    total = sum(counts.values())
    if not _enough(total, rank):
        return None
    wanted, seen, step = math.ceil(rank * total), 0, 0
    for step in sorted(counts):
        seen += counts[step]
        if seen >= wanted:
            break
    return float(WIDTH**step)


def summary(latencies: Sequence[float], seconds: float, batch: int) -> dict[str, Any]:
    """Rates and percentiles of the requests that were answered within a window. latencies: seconds each."""
    ordered = sorted(latencies)
    found: dict[str, Any] = {
        "n": len(ordered),
        "seconds": seconds,
        "requests_per_s": len(ordered) / seconds,
        "images_per_s": batch * len(ordered) / seconds,
    }
    for name, rank in RANKS.items():
        value = percentile(ordered, rank)
        found[name] = None if value is None else 1000 * value
    found["max_ms"] = 1000 * ordered[-1] if ordered else None
    return found
