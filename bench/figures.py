"""Raw records of a bench run → the figures that its tables and targets quote. Pure.

A record is a line of the raw file; its "kind" is session, training, peak, canonicalisation, compression,
stage, repro or cold. All but the first carry the session, commit and date in which they were made.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

Record = dict[str, Any]

YARDSTICK = "S1"  # the reference that every ratio is taken against
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)  # of the yardstick's wall time: where accuracy over time is read off


def header(records: Iterable[Record]) -> Record:
    """What a run of one session says of itself: machine, commit, date, command."""
    return next(record for record in records if record["kind"] == "header")


def sessions(records: Iterable[Record]) -> list[Record]:
    """What each session says of itself (machine, command), of those that have made a record."""
    records = list(records)
    used = {record["session"] for record in records if record["kind"] != "session"}
    return [record for record in of_kind(records, "session") if record["session"] in used]


def commit_of(record: Record) -> str:
    """The commit that made a record, as Markdown."""
    return f"`{record['commit']}`" + (", with changes that are not committed" if record["dirty"] else "")


def commits(records: Iterable[Record]) -> str:
    """The commits that records were made by, in that order."""
    made = [commit_of(record) for record in records if record["kind"] != "session"]
    return "; ".join(dict.fromkeys(made))


def of_kind(records: Iterable[Record], kind: str) -> list[Record]:
    """Records of one kind, in the order they were made."""
    return [record for record in records if record["kind"] == kind]


def trained(records: Iterable[Record], order: Iterable[str]) -> list[str]:
    """The models of an order that have been trained."""
    found = {r["model"] for r in of_kind(records, "training") if r["part"] == "full"}
    return [model for model in order if model in found]


def trainings(records: Iterable[Record], model: str, part: str | None = None) -> list[Record]:
    """The finished trainings of a model on full MNIST (part "full") or on the sample, by seed."""
    part = part or "full"
    found = [r for r in of_kind(records, "training") if r["model"] == model and r["part"] == part]
    return sorted(found, key=lambda record: int(record["seed"]))


def median(records: Iterable[Record], key: str) -> float | None:
    """Median of a field, None without records."""
    return middle(float(record[key]) for record in records)


def middle(values: Iterable[float]) -> float | None:
    """Median, None of nothing."""
    values = list(values)
    return statistics.median(values) if values else None


def mean(values: Iterable[float]) -> float | None:
    """Mean, None of nothing."""
    values = list(values)
    return statistics.fmean(values) if values else None


def sd(values: Iterable[float]) -> float | None:
    """Sample standard deviation, None below two values."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


def yardsticks(records: Iterable[Record]) -> dict[tuple[str, int], Record]:
    """(round, session) → the yardstick's training in it, scored or only timed."""
    found = [r for r in of_kind(records, "training") if r["model"] == YARDSTICK]
    return {(r["round"], r["session"]): r for r in found}


def ratios(records: Iterable[Record], model: str, key: str) -> list[float]:
    """A model's seconds (`key`: wall or cpu) ÷ the yardstick's in the same round and session, by seed."""
    records = list(records)
    known = yardsticks(records)
    pairs = [(r, known.get((r["round"], r["session"]))) for r in trainings(records, model)]
    return [float(r[key]) / float(yardstick[key]) for r, yardstick in pairs if yardstick]


def ratio(records: Iterable[Record], model: str, key: str = "wall") -> float | None:
    """The median of `ratios`."""
    return middle(ratios(records, model, key))


def peak(records: Iterable[Record], precision: str, cpu: str) -> float | None:
    """GFLOP/s of the fastest matrix product that any round saw on such a CPU; None where none was timed."""
    records = list(records)
    like = {each["session"] for each in of_kind(records, "session") if each["machine"]["cpu"] == cpu}
    rates = [r["gflops"].get(precision) for r in of_kind(records, "peak") if r["session"] in like]
    return max((float(rate) for rate in rates if rate), default=None)


def speed(records: Iterable[Record], model: str) -> tuple[float | None, float | None]:
    """A model's training: (GFLOP/s, share of the machine's peak in that precision), medians over seeds."""
    records = list(records)
    cpus = {each["session"]: each["machine"]["cpu"] for each in of_kind(records, "session")}
    rates, shares = [], []
    for r in trainings(records, model):
        rates.append(float(r["flop"]) / float(r["wall"]) / 1e9)
        fastest = peak(records, r["precision"], cpus[r["session"]])
        shares += [rates[-1] / fastest] if fastest else []
    return middle(rates), middle(shares)


def latency(records: Iterable[Record], model: str, threads: str, size: int, key: str) -> float | None:
    """`us` or `ratio` of a request of so many images to the exported model, median over seeds."""
    found = [r["latency"][threads][str(size)] for r in trainings(records, model) if r.get("latency")]
    return median(found, key)


def reached(curve: Iterable[Record], seconds: float) -> float | None:
    """Accuracy of the last probe that the training had passed by then; None before the first."""
    before = [probe for probe in curve if float(probe["seconds"]) <= seconds]
    return float(max(before, key=lambda probe: float(probe["seconds"]))["accuracy"]) if before else None


def over_time(records: Iterable[Record], model: str, share: float) -> list[float | None]:
    """Validation accuracy at a share of the yardstick's wall time in the same round and session, by seed."""
    records = list(records)
    known = yardsticks(records)
    pairs = [(r, known.get((r["round"], r["session"]))) for r in trainings(records, model) if r.get("curve")]
    return [reached(r["curve"], share * float(yardstick["wall"])) for r, yardstick in pairs if yardstick]


def corrupted(records: Iterable[Record], model: str, name: str, suite: str = "corruptions") -> list[float]:
    """Test accuracy under one corruption, by seed."""
    return [float(r[suite][name]) for r in trainings(records, model) if r.get(suite)]


def corruption_names(records: Iterable[Record], suite: str = "corruptions") -> list[str]:
    """The corruptions that were scored, in the order of the table."""
    return next((list(r[suite]) for r in of_kind(records, "training") if r.get(suite)), [])


def calibration_error(records: Iterable[Record], model: str) -> float | None:
    """Expected calibration error, mean over seeds, as a share."""
    runs = [r for r in trainings(records, model) if "calibration_error" in r]
    return mean(float(r["calibration_error"]) for r in runs)


def by_seed(
    records: Iterable[Record],
    model: str,
    summary: Callable[[list[float]], float],
    suite: str = "corruptions",
) -> list[float]:
    """A summary (mean, min) over the corruptions, by seed."""
    found = [r[suite] for r in trainings(records, model) if r.get(suite)]
    return [summary([float(value) for value in each.values()]) for each in found]
