"""What a sweep found: a page for the flow run, a table of all trials as JSON, a picture."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits import files
from flows.search import space as sweep_space
from flows.search import study as sweep_study
from flows.search.space import Dimension
from flows.search.study import Row

if TYPE_CHECKING:
    from optuna import Study

REPORTS = Path("reports/sweeps")
SCORE = "accuracy on validation"


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


def picture(study: Study, space: Sequence[Dimension], title: str) -> bytes:
    """A PNG of the whole trials in parallel coordinates: an axis a key, a line a trial, darker the better."""
    import matplotlib

    matplotlib.use("Agg")  # Optuna draws with pyplot, which would open a window where there is a screen
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    with warnings.catch_warnings():
        # Optuna calls the function experimental; Matplotlib widens an axis whose trials share one value
        warnings.simplefilter("ignore")
        axes = plot_parallel_coordinate(study, target_name=SCORE)
    try:
        axes.set_title(title)
        axes.set_facecolor("#dddddd")  # the worst trials are nearly white
        # In Optuna's order, but whole: it cuts names, and two of train.augmentation then look the same
        labels = [SCORE, *(d.label for d in sorted(space, key=lambda dimension: dimension.key))]
        wrapped = [label.replace(".", ".\n").replace(" on ", " on\n") for label in labels]
        axes.set_xticks(range(len(labels)), wrapped, rotation=0)
        axes.figure.set_size_inches(3 + 1.7 * len(labels), 5)
        stream = io.BytesIO()
        axes.figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    finally:
        pyplot.close(axes.figure)
    return stream.getvalue()


def write(root: Path, plan: Plan, study: Study) -> Found:
    """Write the table and the picture."""
    rows = sweep_study.rows(study, plan.space)
    best = sweep_study.winner(rows)
    table, image = (root / REPORTS / f"{plan.name}.{kind}" for kind in ("json", "png"))
    found = Found(plan.name, rows, best, command_of(plan, best), table, image)
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
    files.write_bytes(image, picture(study, plan.space, page(plan, rows)[0]))
    return found
