"""Raw records of a bench run → the table on the README's first screen. Pure."""

from __future__ import annotations

from bench import figures
from bench.figures import YARDSTICK, Record
from bench.model_tables import average, spread
from bench.plan import OURS
from bench.table import number, percent, table

BEGIN, END = "<!-- results: written by make bench-train -->\n", "<!-- /results -->"
TITLES = {
    YARDSTICK: f"{YARDSTICK}, a tutorial's convolutional net, 5 epochs",
    "fast": "`fast`, the default",
}


def page(readme: str, records: list[Record]) -> str:
    """The README with its table made anew. Raises ValueError where it lacks the two marks."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + _front(records) + END + after


def _front(records: list[Record]) -> str:
    machine = figures.sessions(records)[-1]["machine"]
    head = ["2 cores, no GPU" if machine["cores"] == 2 else "CPU", "test accuracy, n seeds"]
    head += ["mean of 18 corruptions", "worst", f"fit, × {YARDSTICK}"]
    rows = []
    for model in figures.trained(records, (YARDSTICK, *OURS)):
        accuracies = [float(r["accuracy"]) for r in figures.trainings(records, model)]
        rows.append(
            [
                TITLES.get(model, f"`{model}`"),
                f"{spread(accuracies)} %, n = {len(accuracies)}",
                f"{percent(figures.mean(figures.by_seed(records, model, average)), 1)} %",
                f"{percent(min(figures.by_seed(records, model, min)), 1)} %",
                number(figures.ratio(records, model), 2),
            ]
        )
    note = (
        f"{machine['cpu']}, commit {figures.commits(records)}. All figures beside their targets, and how "
        "they are measured: [docs/results.md](docs/results.md)."
    )
    return f"{table(head, rows)}\n\n{note}\n"
