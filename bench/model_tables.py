"""Raw records → the tables that hold the models side by side. Pure."""

from __future__ import annotations

from bench import figures
from bench.figures import SHARES, YARDSTICK, Record, mean, sd
from bench.plan import OURS, SHOWN
from bench.table import NONE, number, percent, table, unmeasured


def title(model: str) -> str:
    """A model's name as the tables show it."""
    return f"`{model}`" if model in OURS else model


def average(values: list[float]) -> float:
    """Mean, of corruptions."""
    return sum(values) / len(values)


def spread(values: list[float]) -> str:
    """Mean and standard deviation of shares, as per cent."""
    deviation = sd(values)
    return percent(mean(values)) + (f" ± {percent(deviation)}" if deviation is not None else "")


def accuracy(records: list[Record]) -> str:
    """How good each model is, and what its training took."""
    with_c = bool(figures.corruption_names(records, "mnist_c"))
    head = ["model", "steps", "batch", "n", "wall s", "CPU s", f"wall ÷ {YARDSTICK}", f"CPU ÷ {YARDSTICK}"]
    head += ["test %", "by seed", "ECE %", "corruptions: mean %", "worst %"]
    head += ["MNIST-C: mean %", "worst %"] if with_c else []
    rows = []
    for model in figures.trained(records, SHOWN):
        runs = figures.trainings(records, model)
        accuracies = [float(r["accuracy"]) for r in runs]
        cells = [title(model), f"{runs[0]['steps']:,}", str(runs[0]["batch"]), str(len(runs))]
        cells += [number(figures.median(runs, key)) for key in ("wall", "cpu")]
        cells += [number(figures.ratio(records, model, key), 2) for key in ("wall", "cpu")]
        cells += [spread(accuracies), ", ".join(percent(value) for value in accuracies)]
        cells += [percent(figures.calibration_error(records, model))]
        for suite in ("corruptions", *(["mnist_c"] if with_c else [])):
            cells += [percent(mean(figures.by_seed(records, model, average, suite)), 1)]
            cells += [percent(min(figures.by_seed(records, model, min, suite), default=None), 1)]
        rows.append(cells)
    return table(head, rows) if rows else unmeasured()


def cost(records: list[Record]) -> str:
    """What a model computes, and how much of the machine its training uses."""
    head = ["model", "parameters", "forward MFLOP", "training GFLOP/s", "share of peak %", "peak of"]
    rows = []
    for model in figures.trained(records, SHOWN):
        first = figures.trainings(records, model)[0]
        rate, share = figures.speed(records, model)
        cells = [title(model), f"{first['parameters']:,}", number(first["forward_flop"] / 1e6, 2)]
        rows.append([*cells, number(rate), percent(share, 1), first["precision"]])
    return table(head, rows) if rows else unmeasured()


def served(records: list[Record]) -> str:
    """What the exported models weigh, and how long they take to answer."""
    kinds = [(size, threads) for size in (1, 32) for threads in ("one", "all")]
    head = ["exported", "SavedModel KB"]
    for size, threads in kinds:
        images = "1 image" if size == 1 else f"{size} images"
        head += [f"{images}, {'1 thread' if threads == 'one' else 'all threads'}: µs", f"÷ {YARDSTICK}"]
    rows = []
    for model in figures.trained(records, OURS):
        runs = [r for r in figures.trainings(records, model) if r.get("latency")]
        saved = figures.median(runs, "saved_bytes")
        cells = [title(model), number(None if saved is None else saved / 1000, 0)]
        for size, threads in kinds:
            cells += [number(figures.latency(records, model, threads, size, "us"), 0)]
            cells += [number(figures.latency(records, model, threads, size, "ratio"), 2)]
        rows.append(cells)
    return table(head, rows) if rows else unmeasured()


def over_time(records: list[Record]) -> str:
    """Validation accuracy at shares of the yardstick's time."""
    timed = figures.yardsticks(records).values()
    wall = figures.median(timed, "wall")
    models = [m for m in figures.trained(records, OURS) if figures.over_time(records, m, 1.0)]
    if wall is None or not models:
        return unmeasured()
    rows = []
    for model in models:
        cells = [title(model)]
        for share in SHARES:
            values = figures.over_time(records, model, share)
            known = [value for value in values if value is not None]
            enough = len(known) == len(values)
            cells.append(f"{percent(mean(known))} (worst {percent(min(known))})" if enough else NONE)
        final = [float(r["validation_accuracy"]) for r in figures.trainings(records, model)]
        rows.append([*cells, percent(mean(final))])
    head = ["validation %", *(f"{share:g} × {YARDSTICK} ({share * wall:.1f} s)" for share in SHARES)]
    note = (
        f"Mean and worst over seeds of the last score before that share of {YARDSTICK}'s wall time in the "
        f"same round (median {wall:.1f} s); a dash: no score yet."
    )
    return table([*head, "at the end"], rows) + "\n\n" + note


def corruptions(records: list[Record], suite: str = "corruptions") -> str:
    """Accuracy under each corruption of a suite: the yardstick and ours."""
    shown = [
        m for m in figures.trained(records, (YARDSTICK, *OURS)) if figures.by_seed(records, m, min, suite)
    ]
    if not shown:
        return unmeasured()
    clean = [[float(r["accuracy"]) for r in figures.trainings(records, m)] for m in shown]
    rows = [["clean", *(percent(mean(values), 1) for values in clean)]]
    for name in figures.corruption_names(records, suite):
        values = [figures.corrupted(records, m, name, suite) for m in shown]
        rows.append([name.replace("_", " "), *(percent(mean(v), 1) for v in values)])
    means = [figures.by_seed(records, m, average, suite) for m in shown]
    worst = [figures.by_seed(records, m, min, suite) for m in shown]
    rows.append(["**mean**", *(f"**{percent(mean(values), 1)}**" for values in means)])
    rows.append(["**worst, of the worst seed**", *(f"**{percent(min(values), 1)}**" for values in worst)])
    return table(["test %, mean over seeds", *map(title, shown)], rows)


SEEN = """\
The fifteen kinds of MNIST-C (Mu & Gilmer 2019), own code after their definitions. Not unseen for all: `fast`
and `robust` train with `severe` damage, which is modelled on these kinds with strengths drawn at random; what
that is worth on damage of other kinds, the table above tells."""


def mnist_c(records: list[Record]) -> list[str]:
    """The section on MNIST-C's corruptions, where the run has them."""
    if not figures.corruption_names(records, "mnist_c"):
        return []
    return ["## MNIST-C", SEEN, corruptions(records, "mnist_c")]
