"""Raw records → the targets of our profiles: accuracy, time, robustness, calibration, size. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench import figures
from bench.figures import YARDSTICK, Record
from bench.plan import MANY, OURS
from bench.target import Target, largest, percent, worst

# What canonicalisation must undo.
UNHARMED = ("shift", "inverted", "dim", "bright", "low_contrast")
BF16 = "the target is for a CPU with bfloat16"
FEW_SEEDS = f"the target is for {MANY} seeds or more"
Measure = Callable[[list[Record], str], float | None]


@dataclass(frozen=True)
class Goal:
    """What a profile must reach; `seeds`: with fewer it is only reported."""

    what: str
    at_most: bool
    limit: float
    measure: Measure
    unit: str = "%"
    digits: int = 2
    needs_bf16: bool = False
    seeds: int = 1


def _accuracy(records: list[Record], model: str) -> float | None:
    return percent(figures.mean(float(r["accuracy"]) for r in figures.trainings(records, model)))


def _early(records: list[Record], model: str) -> float | None:
    return percent(worst([value or 0.0 for value in figures.over_time(records, model, 0.2)]))


def _ece(records: list[Record], model: str) -> float | None:
    return percent(figures.calibration_error(records, model))


def _parameters(records: list[Record], model: str) -> float | None:
    return largest([float(r["parameters"]) for r in figures.trainings(records, model)])


def _mean(suite: str) -> Measure:
    def measure(records: list[Record], model: str) -> float | None:
        means = figures.by_seed(records, model, lambda values: sum(values) / len(values), suite)
        return percent(figures.mean(means))

    return measure


def _worst(suite: str) -> Measure:
    return lambda records, model: percent(worst(figures.by_seed(records, model, min, suite)))


def _harm(records: list[Record], model: str) -> float | None:
    gaps = [
        100 * (float(r["accuracy"]) - float(r["corruptions"][name]))
        for r in figures.trainings(records, model)
        if r.get("corruptions")
        for name in UNHARMED
    ]
    return largest(gaps)


def _clean(limit: float, *, bf16: bool = False, seeds: int = 1) -> Goal:
    return Goal("mean test accuracy", False, limit, _accuracy, digits=3, needs_bf16=bf16, seeds=seeds)


def _within(limit: float, *, bf16: bool = False) -> Goal:
    what = "wall time of fit, median by round"
    return Goal(what, True, limit, figures.ratio, f"× {YARDSTICK}", needs_bf16=bf16)


def _unharmed(limit: float) -> Goal:
    lost = ", ".join(UNHARMED).replace("_", " ")
    return Goal(f"points lost to {lost}; the largest of all seeds", True, limit, _harm, "points")


EARLY = Goal(
    f"validation accuracy at 0.2 × {YARDSTICK}'s wall time, worst seed", False, 98.0, _early, needs_bf16=True
)
HONEST = Goal("expected calibration error, mean over seeds", True, 0.3, _ece, digits=3)
MNIST_C = "mean over MNIST-C's corruptions"

GOALS: dict[str, tuple[Goal, ...]] = {
    "speedrun": (_clean(99.65, bf16=True, seeds=MANY), _within(0.8, bf16=True), EARLY),
    "fast": (
        _clean(99.55),
        _within(1.2),
        Goal("mean over the corruptions", False, 95.0, _mean("corruptions")),
        Goal("worst corruption of the worst seed", False, 75.0, _worst("corruptions")),
        Goal(MNIST_C, False, 96.0, _mean("mnist_c")),
        _unharmed(0.3),
    ),
    "standard": (_clean(99.72), _within(5.0)),
    "full": (_clean(99.80), _within(30.0)),
    "robust": (
        _clean(99.5),
        Goal(MNIST_C, False, 97.5, _mean("mnist_c")),
        Goal("worst of MNIST-C's corruptions, of the worst seed", False, 90.0, _worst("mnist_c")),
        _unharmed(0.2),
    ),
    "tiny": (Goal("parameters", True, 10_000, _parameters, "", 0), _clean(99.3)),
}


def profile_targets(records: list[Record]) -> list[Target]:
    """Those of the profiles that exist, or have been measured."""
    bf16 = all(each["machine"]["bf16"] for each in figures.sessions(records))
    found = []
    for model, goals in GOALS.items():
        n = len(figures.trainings(records, model))
        if n or model in OURS:
            found += [_target(records, model, n, goal, bf16) for goal in (*goals, HONEST)]
    return found


def _target(records: list[Record], model: str, n: int, goal: Goal, bf16: bool) -> Target:
    seeds = f", {n} seed{'' if n == 1 else 's'}" if goal.measure is _accuracy else ""
    reasons = [BF16] if goal.needs_bf16 and not bf16 else []
    reasons += [FEW_SEEDS] if n < goal.seeds else []
    return Target(
        f"`{model}`: {goal.what}{seeds}",
        goal.at_most,
        goal.limit,
        goal.measure(records, model),
        goal.unit,
        goal.digits,
        "; ".join(reasons),
    )
