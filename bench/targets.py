"""Raw records → every target of speed, size and memory beside its measured value. Pure; all is computed."""

from __future__ import annotations

from dataclasses import dataclass

from bench import figures
from bench.figures import Record

UNHARMED = ("shift", "inverted", "dim", "bright", "low_contrast")  # what canonicalisation must undo
LIGHT = ("ingest", "validate", "preprocess", "evaluate", "export")  # every stage besides train


@dataclass(frozen=True)
class Target:
    """One target: `measured` is None when this run did not measure it; `unit` fits both numbers.

    `binding` is False where the target is set for another kind of machine: then the value is only reported.
    """

    what: str
    at_most: bool
    limit: float
    measured: float | None
    unit: str
    digits: int = 2
    binding: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the measured value, unrounded, is within the limit."""
        if self.measured is None:
            return None
        slack = 1e-9  # of the float arithmetic of a mean; far below what any figure resolves
        if self.at_most:
            return self.measured <= self.limit + slack
        return self.measured >= self.limit - slack


def _percent(values: float | None) -> float | None:
    return None if values is None else 100 * values


def _worst(values: list[float]) -> float | None:
    return min(values) if values else None


def _largest(values: list[float]) -> float | None:
    return max(values) if values else None


def targets(records: list[Record]) -> list[Target]:
    """All of them, in the order in which the project states them."""
    return [*_speedrun(records), *_fast(records), *_sample(records), *_pipeline(records)]


def _ratio(records: list[Record], model: str) -> float | None:
    ratios = [{"ratio": ratio} for ratio in figures.ratios(records, model, "wall")]
    return figures.median(ratios, "ratio")


def _seeds(records: list[Record], model: str) -> str:
    n = len(figures.trainings(records, model))
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _accuracy(records: list[Record], model: str) -> float | None:
    return _percent(figures.mean(float(r["accuracy"]) for r in figures.trainings(records, model)))


def _speedrun(records: list[Record]) -> list[Target]:
    bf16 = bool(figures.header(records)["machine"]["bf16"])
    early = figures.over_time(records, "speedrun", 0.2)
    soonest = min((value or 0.0 for value in early), default=None)
    return [
        Target(
            f"`speedrun`: mean test accuracy, {_seeds(records, 'speedrun')}",
            False,
            99.55,
            _accuracy(records, "speedrun"),
            "%",
            3,
            binding=bf16,
        ),
        Target(
            "`speedrun`: wall time of fit, median by round",
            True,
            0.9,
            _ratio(records, "speedrun"),
            "× S1",
            binding=bf16,
        ),
        Target(
            "`speedrun`: validation accuracy at 0.2 × S1's wall time, worst seed",
            False,
            98.0,
            _percent(soonest),
            "%",
            binding=bf16,
        ),
    ]


def _fast(records: list[Record]) -> list[Target]:
    gaps = [
        100 * (float(r["accuracy"]) - float(r["corruptions"][name]))
        for r in figures.trainings(records, "fast")
        if r.get("corruptions")
        for name in UNHARMED
    ]
    means = figures.by_seed(records, "fast", lambda values: sum(values) / len(values))
    worst = figures.by_seed(records, "fast", min)
    canonical = figures.median(figures.of_kind(records, "canonicalisation"), "ms_per_image")
    undone = ", ".join(UNHARMED).replace("_", " ")
    return [
        Target(
            f"`fast`: mean test accuracy, {_seeds(records, 'fast')}",
            False,
            99.5,
            _accuracy(records, "fast"),
            "%",
            3,
        ),
        Target("`fast`: wall time of fit, median by round", True, 1.5, _ratio(records, "fast"), "× S1"),
        Target("`fast`: mean over the corruptions", False, 95.0, _percent(figures.mean(means)), "%"),
        Target("`fast`: worst corruption of the worst seed", False, 75.0, _percent(_worst(worst)), "%"),
        Target(
            f"`fast`: points lost to {undone}; the largest of all seeds", True, 0.3, _largest(gaps), "points"
        ),
        Target("canonicalisation, an image in a batch of 32", True, 0.1, canonical, "ms", 4),
    ]


def _sample(records: list[Record]) -> list[Target]:
    runs = figures.trainings(records, "fast", "sample")
    heldout = [float(r["heldout_accuracy"]) for r in runs]
    real = [float(r["accuracy"]) for r in runs]
    seconds = [float(r["wall"]) for r in runs]
    passed = [1.0 if r["gate_passed"] else 0.0 for r in runs if r.get("gate_passed") is not None]
    n = len(runs)
    gate = 100 * float(runs[0]["gate_accuracy"]) if runs else 98.0
    return [
        Target(
            f"sample, held-out images: worst of {n} seeds (the gate and 0.3 points)",
            False,
            gate + 0.3,
            _percent(_worst(heldout)),
            "%",
        ),
        Target(
            f"sample: share of {n} seeds that the whole gate passes",
            False,
            100.0,
            _percent(figures.mean(passed)),
            "%",
            0,
        ),
        Target(f"sample, real test images: worst of {n} seeds", False, 99.0, _percent(_worst(real)), "%"),
        Target("sample: wall time of fit, longest", True, 180.0, _largest(seconds), "s", 0),
    ]


def _pipeline(records: list[Record]) -> list[Target]:
    stages = {r["stage"]: r for r in figures.of_kind(records, "stage")}
    repro = figures.of_kind(records, "repro")
    noop = figures.median([{"wall": wall} for r in repro for wall in r["noop"]], "wall")
    complete = all(stage in stages for stage in LIGHT)
    cpu = sum(float(stages[stage]["cpu"]) for stage in LIGHT) if complete else None
    peak = _largest([float(r["peak_mib"]) for r in stages.values()])
    validate = float(stages["validate"]["cpu"]) if "validate" in stages else None
    cold = figures.median(figures.of_kind(records, "cold"), "wall")
    return [
        Target("`dvc repro` with nothing to do, median", True, 3.0, noop, "s"),
        Target("all stages besides train, CPU", True, 90.0, cpu, "s", 1),
        Target("validate, CPU", True, 20.0, validate, "s", 1),
        Target("largest peak memory of a stage", True, 2048.0, peak, "MiB", 0),
        Target("cold `make run` on the sample", True, 360.0, cold, "s", 0),
    ]
