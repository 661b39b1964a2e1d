"""Raw records of a bench run → the figures that its tables and targets quote. Pure.

A record is a line of the raw file; its "kind" is header, training, canonicalisation, stage, repro or cold.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

Record = dict[str, Any]

YARDSTICK = "S1"  # the reference that every ratio is taken against
PROFILES = ("speedrun", "fast")
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)  # of the yardstick's wall time: where accuracy over time is read off


def header(records: Iterable[Record]) -> Record:
    """What the run says of itself: machine, commit, date, command."""
    return next(record for record in records if record["kind"] == "header")


def of_kind(records: Iterable[Record], kind: str) -> list[Record]:
    """Records of one kind, in the order they were made."""
    return [record for record in records if record["kind"] == kind]


def trainings(records: Iterable[Record], model: str, part: str | None = None) -> list[Record]:
    """The finished trainings of a model on full MNIST (part "full") or on the sample, by seed."""
    part = part or "full"
    found = [r for r in of_kind(records, "training") if r["model"] == model and r["part"] == part]
    return sorted(found, key=lambda record: int(record["seed"]))


def median(records: Iterable[Record], key: str) -> float | None:
    """Median of a field, None without records."""
    values = [float(record[key]) for record in records]
    return statistics.median(values) if values else None


def mean(values: Iterable[float]) -> float | None:
    """Mean, None of nothing."""
    values = list(values)
    return statistics.fmean(values) if values else None


def sd(values: Iterable[float]) -> float | None:
    """Sample standard deviation, None below two values."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


def ratios(records: Iterable[Record], model: str, key: str) -> list[float]:
    """A model's seconds (`key`: wall or cpu) ÷ the yardstick's in the same round, by seed."""
    records = list(records)
    yardstick = {r["seed"]: float(r[key]) for r in trainings(records, YARDSTICK)}
    return [float(r[key]) / yardstick[r["seed"]] for r in trainings(records, model) if r["seed"] in yardstick]


def reached(curve: Iterable[Record], seconds: float) -> float | None:
    """Accuracy of the last probe that the training had passed by then; None before the first."""
    before = [probe for probe in curve if float(probe["seconds"]) <= seconds]
    return float(max(before, key=lambda probe: float(probe["seconds"]))["accuracy"]) if before else None


def over_time(records: Iterable[Record], model: str, share: float) -> list[float | None]:
    """Validation accuracy at a share of the yardstick's median wall time, by seed; empty without it."""
    records = list(records)
    wall = median(trainings(records, YARDSTICK), "wall")
    if wall is None:
        return []
    return [reached(r["curve"], share * wall) for r in trainings(records, model) if r.get("curve")]


def corrupted(records: Iterable[Record], model: str, name: str) -> list[float]:
    """Test accuracy under one corruption, by seed."""
    return [float(r["corruptions"][name]) for r in trainings(records, model) if r.get("corruptions")]


def corruption_names(records: Iterable[Record]) -> list[str]:
    """The corruptions that were scored, in the order of the table."""
    return next((list(r["corruptions"]) for r in of_kind(records, "training") if r.get("corruptions")), [])


def by_seed(records: Iterable[Record], model: str, summary: Callable[[list[float]], float]) -> list[float]:
    """A summary (mean, min) over the corruptions, by seed."""
    found = [r["corruptions"] for r in trainings(records, model) if r.get("corruptions")]
    return [summary([float(value) for value in each.values()]) for each in found]
