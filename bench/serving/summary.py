"""Latencies of requests → what a record keeps of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

RANKS = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
TAIL = 5  # requests that have to be slower than a percentile before it is given; fewer are chance


def percentile(ordered: Sequence[float], rank: float) -> float | None:
    """The value that a share `rank` of the sorted ones does not exceed; None where the tail is too thin."""
    if not ordered or (rank > 0.5 and len(ordered) * (1 - rank) < TAIL):
        return None
    return ordered[max(0, math.ceil(rank * len(ordered)) - 1)]


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
