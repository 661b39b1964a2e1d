"""Raw records → the table of what our models answer, and what they leave to a person. Pure."""

from __future__ import annotations

from bench import figures
from bench.figures import Record, mean
from bench.model_tables import title
from bench.plan import OURS
from bench.table import percent, table, unmeasured
from digits.metrics import wilson

NOTE = """\
The threshold is each model's own, the lowest at which {wanted} % of the answers to validation images are
right; on the test images it is only applied. Mean over seeds; in brackets the 95 % interval (Wilson) of that
mean for {n:,} images, which all seeds share. Pictures without a digit: {each} kinds that no training saw;
without `outliers` in its profile a model has seen none at all."""


def withheld(records: list[Record]) -> str:
    """Coverage and precision at the threshold, each with its interval, and how many pictures are refused."""
    rows = []
    known: list[Record] = []
    for model in figures.trained(records, OURS):
        runs = [r for r in figures.trainings(records, model) if r.get("abstention")]
        if not runs:
            continue
        known += runs
        told = [r["abstention"] for r in runs]
        answered = [float(each["answered"]) for each in told]
        right = [float(each["correct"]) for each in told]
        wrong = [a - c for a, c in zip(answered, right, strict=True)]
        refused = [mean(r["refused"].values()) or 0.0 for r in runs]
        rows.append(
            [
                title(model),
                str(len(runs)),
                _share(mean(answered), told[0]["n"]),
                _share(mean(right), mean(answered)),
                ", ".join(f"{count:.0f}" for count in wrong),
                percent(mean(refused), 1),
                percent(min(min(r["refused"].values()) for r in runs), 1),
            ]
        )
    if not rows:
        return unmeasured()
    head = ["model", "n", "answered %", "of those right %", "wrong, by seed"]
    head += ["no digit: refused %", "worst kind %"]
    first = known[0]
    wanted = percent(first["abstention"]["target"])
    note = NOTE.format(wanted=wanted, n=first["abstention"]["n"], each=len(first["refused"]))
    return table(head, rows) + "\n\n" + note


def _share(count: float | None, n: float | None) -> str:
    """A share of means, with the interval of as many images."""
    if not n or count is None:
        return percent(None)
    low, high = wilson(round(count), round(n))
    return f"{percent(count / n)} ({percent(low)} to {percent(high)})"
