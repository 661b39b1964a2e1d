"""What tutorials say of their models, and whether it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench import figures
from bench.figures import Record, mean, sd
from bench.table import NONE, number, percent, table, unmeasured

PART = "claims"
BASE = "S4"  # as the profile of that name: variants are compared with what the same stage made
NEAR = 0.002  # of an accuracy: a claim of one is met from so far below; seeds differ by that much


@dataclass(frozen=True)
class Claim:
    """A tutorial's sentence about a model; `accuracy` where it names one, else it compares with BASE."""

    model: str
    says: str
    accuracy: float | None = None
    better: bool = True


CLAIMS = (
    Claim("S0", "above 98 %", 0.98),
    Claim("S1", "98.92 %", 0.9892),
    Claim("S2", "99 %", 0.99),
    Claim("S3", "97.36 %", 0.9736),
    Claim("S4", "98.92 %", 0.9892),
    Claim("S4-dropout", "dropout of 0.2 makes it a little better"),
    Claim("S4-l2", "an L2 penalty of 1e-4 makes it better"),
    Claim("S4-augmented", "an image generator makes it no better", better=False),
    Claim("S4-early-stopping", "stopping early, 30 epochs at most, makes it better"),
)
VARIANTS = (BASE, *(claim.model for claim in CLAIMS if claim.accuracy is None))


def claims(records: list[Record]) -> str:
    """Each claim beside what was measured."""
    if not any(figures.trainings(records, claim.model, _part(claim)) for claim in CLAIMS):
        return unmeasured()
    head = [
        "model",
        "the tutorial says",
        "test %",
        "n",
        f"points above {BASE}",
        "corruptions: mean %",
        "holds",
    ]
    return table(head, [_row(records, claim) for claim in CLAIMS], left=2)


def _part(claim: Claim) -> str:
    return "full" if claim.accuracy is not None else PART


def _row(records: list[Record], claim: Claim) -> list[str]:
    runs = figures.trainings(records, claim.model, _part(claim))
    if not runs:
        return [claim.model, claim.says, NONE, "0", NONE, NONE, NONE]
    accuracies = [float(r["accuracy"]) for r in runs]
    spread, gained = sd(accuracies), _gained(records, claim)
    clean = percent(mean(accuracies)) + (f" ± {percent(spread)}" if spread is not None else "")
    suites = [mean(map(float, r["corruptions"].values())) for r in runs if r.get("corruptions")]
    harmed = percent(mean(each for each in suites if each is not None), 1)
    shown = ", ".join(f"{100 * each:+.2f}" for each in gained) or NONE
    return [claim.model, claim.says, clean, str(len(runs)), shown, harmed, _holds(claim, accuracies, gained)]


def _gained(records: Iterable[Record], claim: Claim) -> list[float]:
    """By seed, what a variant is above the base."""
    if claim.accuracy is not None:
        return []
    records = list(records)
    base = {r["seed"]: float(r["accuracy"]) for r in figures.trainings(records, BASE, PART)}
    runs = figures.trainings(records, claim.model, PART)
    return [float(r["accuracy"]) - base[r["seed"]] for r in runs if r["seed"] in base]


def _holds(claim: Claim, accuracies: list[float], gained: list[float]) -> str:
    if claim.accuracy is not None:
        reached = mean(accuracies) or 0.0
        if reached >= claim.accuracy:
            return "yes"
        off = number(100 * (claim.accuracy - reached), 2)
        return (
            f"nearly: {off} points below"
            if reached >= claim.accuracy - NEAR
            else f"**no**: {off} points below"
        )
    average, deviation = mean(gained), sd(gained)
    if average is None or deviation is None:
        return "not known from one seed"
    if abs(average) <= 2 * deviation / len(gained) ** 0.5:  # two standard errors
        return "no difference shows" if claim.better else "yes: no difference shows"
    return "yes" if (average > 0) == claim.better else "**no**"
