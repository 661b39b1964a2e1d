"""What a sweep found: a page for the flow run, a table of all trials as JSON, a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from digits import files
from flows.search import sweep_picture, sweep_space, sweep_study
from flows.search.sweep_space import Dimension
from flows.search.sweep_study import Row

REPORTS = Path("reports/sweeps")


@dataclass(frozen=True)
class Plan:
    """What to search, how and where."""

    space: tuple[Dimension, ...]
    base: dict[str, Any]  # the plain train section that trials override, with the profile put in
    name: str
    sampler: str  # of sweep_study.SAMPLERS
    trials: int | None  # whole trials and pruned ones together; None: all of a grid
    seed: int  # of the sampler
    workers: int
    cluster: str | None  # address of a Dask scheduler; None: processes of this machine
    prune: bool


@dataclass(frozen=True)
class Found:
    """What a sweep found: every trial, the winner, the command that applies it, the files.

    experiments: names of the DVC experiments that the whole trials are; none without Git.
    """

    name: str
    rows: list[Row]
    winner: Row | None
    command: str | None
    table: Path
    picture: Path
    experiments: tuple[str, ...] = ()


def command_of(plan: Plan, best: Row | None) -> str | None:
    """What makes the winner an experiment of the whole pipeline."""
    return sweep_space.command(str(plan.base["profile"]), best.settings) if best else None


def page(plan: Plan, rows: list[Row]) -> tuple[str, str]:
    """A line and a page for the flow run."""
    best = sweep_study.winner(rows)
    counts = ", ".join(
        f"{n} {outcome}"
        for outcome in ("complete", "pruned", "failed")
        if (n := sum(row.outcome == outcome for row in rows))
    )
    line = counts + (f"; trial {best.number} wins with {best.accuracy:.2%} on validation" if best else "")
    head = ["trial", "outcome", "accuracy", *(d.label for d in plan.space)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in ranked(rows):
        accuracy = "" if row.accuracy is None else f"{row.accuracy:.2%}"
        values = [sweep_space.text(row.settings.get(d.key)) for d in plan.space]
        lines.append(" | ".join([str(row.number), row.outcome, accuracy, *values]))
    table = "\n".join(f"| {text} |" for text in lines)
    command = command_of(plan, best)
    return line, f"{line}\n\n{table}\n" + (f"\n`{command}`\n" if command else "")


def ranked(rows: list[Row]) -> list[Row]:
    """Whole trials, the best first, then pruned ones, then failed ones."""
    order = ("complete", "pruned", "failed")
    return sorted(rows, key=lambda r: (order.index(r.outcome), -(r.accuracy or 0), r.loss or 0, r.number))


def write(root: Path, plan: Plan, rows: list[Row]) -> Found:
    """Write the table and the picture."""
    best = sweep_study.winner(rows)
    table, picture = (root / REPORTS / f"{plan.name}.{kind}" for kind in ("json", "png"))
    found = Found(plan.name, rows, best, command_of(plan, best), table, picture)
    files.write_json(
        table,
        {
            "name": plan.name,
            "params": plan.base,
            "sampler": plan.sampler,
            "space": {d.key: d.spec for d in plan.space},
            "trials": [asdict(row) for row in rows],
            "winner": best.number if best else None,
            "command": found.command,
        },
    )
    files.write_bytes(picture, sweep_picture.draw(plan.space, rows, best))
    return found
