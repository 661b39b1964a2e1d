"""Reports the result of a sweep: a page for the flow run, a table of all trials as JSON, a picture."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits import files
from flows.search import space, study
from flows.search.space import Dimension
from flows.search.study import Row

if TYPE_CHECKING:
    from optuna import Study

REPORTS = Path("reports/sweeps")
SCORE = "accuracy on validation"


@dataclass(frozen=True)
class Plan:
    """The options of a sweep: what to search, how and where."""

    space: tuple[Dimension, ...]
    base: dict[str, Any]  # the plain train section that trials override, with the profile put in
    name: str
    sampler: str  # one of study.SAMPLERS
    trials: int | None  # complete and pruned ones together; None: all of a grid
    seed: int  # of the sampler
    workers: int
    cluster: str | None  # address of a Dask scheduler; None: processes of this machine
    prune: bool


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep: every trial, the winner, the command that applies it, the files.

    experiments: names of the DVC experiments of the complete trials; none without Git.
    """

    name: str
    rows: list[Row]
    winner: Row | None
    command: str | None
    table: Path
    picture: Path
    experiments: tuple[str, ...] = ()


def command_of(plan: Plan, best: Row | None) -> str | None:
    """The command that runs the whole pipeline with the winner's settings; None without a winner."""
    return space.command(str(plan.base["profile"]), best.settings) if best else None


def page(plan: Plan, rows: list[Row]) -> tuple[str, str]:
    """The last line of the flow run, and its page in Markdown."""
    best = study.winner(rows)
    counts = ", ".join(
        f"{n} {outcome}"
        for outcome in ("complete", "pruned", "failed")
        if (n := sum(row.outcome == outcome for row in rows))
    )
    line = counts + (f"; trial {best.number} wins with {best.accuracy:.2%} on validation" if best else "")
    head = ["trial", "outcome", "accuracy", *(d.label for d in plan.space)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in ranking(rows):
        accuracy = "" if row.accuracy is None else f"{row.accuracy:.2%}"
        values = [space.text(row.settings.get(d.key)) for d in plan.space]
        lines.append(" | ".join([str(row.number), row.outcome, accuracy, *values]))
    table = "\n".join(f"| {text} |" for text in lines)
    command = command_of(plan, best)
    return line, f"{line}\n\n{table}\n" + (f"\n`{command}`\n" if command else "")


def ranking(rows: list[Row]) -> list[Row]:
    """The trials in order: complete ones, the best first, then pruned ones, then failed ones."""
    order = ("complete", "pruned", "failed")
    return sorted(rows, key=lambda r: (order.index(r.outcome), -(r.accuracy or 0), r.loss or 0, r.number))


def picture(trials: Study, dimensions: Sequence[Dimension], title: str) -> bytes:
    """A PNG of the complete trials in parallel coordinates: an axis a key, a line a trial, best darkest."""
    import matplotlib

    matplotlib.use("Agg")  # Optuna draws with pyplot, which would open a window where there is a screen
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    with warnings.catch_warnings():
        # Optuna calls the function experimental; Matplotlib widens an axis whose trials share one value
        warnings.simplefilter("ignore")
        axes = plot_parallel_coordinate(trials, target_name=SCORE)
    try:
        axes.set_title(title)
        axes.set_facecolor("#dddddd")  # the worst trials are nearly white
        # In Optuna's order, but in full: it cuts names, and two of train.augmentation then look the same
        labels = [SCORE, *(d.label for d in sorted(dimensions, key=lambda dimension: dimension.key))]
        wrapped = [label.replace(".", ".\n").replace(" on ", " on\n") for label in labels]
        axes.set_xticks(range(len(labels)), wrapped, rotation=0)
        axes.figure.set_size_inches(3 + 1.7 * len(labels), 5)
        stream = io.BytesIO()
        axes.figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    finally:
        pyplot.close(axes.figure)
    return stream.getvalue()


def write(root: Path, plan: Plan, trials: Study) -> SweepResult:
    """Write the table and the picture to reports/sweeps; return the result."""
    rows = study.rows(trials, plan.space)
    best = study.winner(rows)
    table, image = (root / REPORTS / f"{plan.name}.{kind}" for kind in ("json", "png"))
    result = SweepResult(plan.name, rows, best, command_of(plan, best), table, image)
    files.write_json(
        table,
        {
            "name": plan.name,
            "params": plan.base,
            "sampler": plan.sampler,
            "space": {d.key: d.spec for d in plan.space},
            "trials": [asdict(row) for row in rows],
            "winner": best.number if best else None,
            "command": result.command,
        },
    )
    files.write_bytes(image, picture(trials, plan.space, page(plan, rows)[0]))
    return result
