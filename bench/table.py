"""Raw records → the Markdown document of results. Pure: every number is computed from the records."""

from __future__ import annotations

from collections.abc import Sequence

from bench import figures
from bench.figures import PROFILES, SHARES, YARDSTICK, Record, mean, sd
from bench.references import REFERENCES
from bench.targets import LIGHT, Target, targets

NONE = "–"
UNMEASURED = "not measured in this run"
SHOWN = (*REFERENCES, *PROFILES)


def document(records: list[Record]) -> str:
    """The whole of docs/results.md."""
    parts = [
        "# Results",
        "Written by `make bench-train` from its raw records: change nothing here by hand, run it again. "
        "Serving has a page of its own: `make bench-serving` writes results-serving.md.",
        *(["**A trial of the bench itself: its figures mean nothing.**"] if _trial(records) else []),
        _machine(records),
        "## Targets",
        _targets(records),
        "## Models",
        _models(records),
        "## Accuracy over time",
        _over_time(records),
        "## Corruptions",
        _corruptions(records),
        "## Sample data set",
        _sample(records),
        "## Pipeline",
        _pipeline(records),
        "## How it is measured",
        METHOD,
    ]
    return "\n\n".join(parts) + "\n"


METHOD = f"""\
- Every training runs in a process of its own, one after another. The clock covers `fit`, tracing and
  compiling included; importing TensorFlow, loading data and scoring are outside it. CPU seconds are those of
  all threads.
- Runs are interleaved by seed, so that a machine that slows down slows all; × {YARDSTICK} is taken within the
  same round, and the median of the rounds is given. Where n is 1, a figure is one run.
- S0 to S4 are models of common tutorials with their own hyperparameters, on all of MNIST's training images
  (S3 holds a fifth of them back). Ours train on what `preprocess` leaves them; the rest is for validation.
- Accuracy over time is that of the validation images and of the averaged weights, which is what is exported;
  the clock stands still while they are scored. The test images are scored once, after a run has finished.
- ± is the standard deviation over seeds."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are text, the others numbers."""
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def number(value: float | None, digits: int = 1) -> str:
    """A number with a fixed count of decimals; a dash for None."""
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    """A share as per cent, without the sign."""
    return number(None if value is None else 100 * value, digits)


def _trial(records: list[Record]) -> bool:
    return bool(figures.header(records)["quick"])


def _spread(values: list[float]) -> str:
    deviation = sd(values)
    return percent(mean(values)) + (f" ± {percent(deviation)}" if deviation is not None else "")


def _seeds(values: Sequence[float | None]) -> str:
    return ", ".join(percent(value) for value in values) or NONE


def _machine(records: list[Record]) -> str:
    header = figures.header(records)
    machine = header["machine"]
    runs = figures.of_kind(records, "training")
    devices = ", ".join(sorted({str(r["device"]) for r in runs})) or NONE
    dirty = ", with changes that are not committed" if header["dirty"] else ""
    counts = {m: len(figures.trainings(records, m)) for m in SHOWN}
    n = ", ".join(f"{model} {count}" for model, count in counts.items() if count)
    rows = [
        ["machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB"],
        ["bfloat16 in the CPU", "yes" if machine["bf16"] else "no"],
        ["trained on", devices],
        ["software", machine["software"]],
        ["commit", f"`{header['commit']}`{dirty}"],
        ["date", header["date"]],
        ["command", f"`{header['command']}`"],
        ["load before it began", f"{machine['load']:.1f} processes"],
        ["trainings (seeds)", n or NONE],
    ]
    return table(["", ""], rows, left=2)


def _targets(records: list[Record]) -> str:
    found = targets(records)
    rows = [[_what(t), _limit(t), _measured(t), _outcome(t)] for t in found]
    counted = [t.met for t in found if t.binding and t.met is not None]
    unmeasured = sum(t.measured is None for t in found)
    text = f"{sum(counted)} of {len(counted)} measured targets met"
    text += f", {unmeasured} not measured in this run." if unmeasured else "."
    return text + "\n\n" + table(["target", "limit", "measured", ""], rows)


def _what(target: Target) -> str:
    return target.what


def _limit(target: Target) -> str:
    return f"{'≤' if target.at_most else '≥'} {target.limit:,g} {target.unit}"


def _measured(target: Target) -> str:
    if target.measured is None:
        return UNMEASURED
    return f"{number(target.measured, target.digits)} {target.unit}"


def _outcome(target: Target) -> str:
    if target.met is None:
        return NONE
    if not target.binding:
        return "reported (the target is for a CPU with bfloat16)"
    return "met" if target.met else "**not met**"


def _models(records: list[Record]) -> str:
    head = ["model", "parameters", "steps", "batch", "n", "wall s", "CPU s", f"wall ÷ {YARDSTICK}"]
    head += [f"CPU ÷ {YARDSTICK}", "test %", "by seed", "corruptions: mean %", "worst %"]
    rows = []
    for model in SHOWN:
        runs = figures.trainings(records, model)
        if not runs:
            continue
        accuracies = [float(r["accuracy"]) for r in runs]
        by_mean = figures.by_seed(records, model, lambda values: sum(values) / len(values))
        by_worst = figures.by_seed(records, model, min)
        rows.append(
            [
                f"`{model}`" if model in PROFILES else model,
                f"{runs[0]['parameters']:,}",
                f"{runs[0]['steps']:,}",
                str(runs[0]["batch"]),
                str(len(runs)),
                number(figures.median(runs, "wall")),
                number(figures.median(runs, "cpu")),
                number(_middle(figures.ratios(records, model, "wall")), 2),
                number(_middle(figures.ratios(records, model, "cpu")), 2),
                _spread(accuracies),
                _seeds(accuracies),
                percent(mean(by_mean), 1),
                percent(min(by_worst, default=None), 1),
            ]
        )
    return table(head, rows) if rows else UNMEASURED.capitalize() + "."


def _middle(values: list[float]) -> float | None:
    return figures.median([{"value": value} for value in values], "value")


def _over_time(records: list[Record]) -> str:
    wall = figures.median(figures.trainings(records, YARDSTICK), "wall")
    models = [m for m in PROFILES if any(r.get("curve") for r in figures.trainings(records, m))]
    if wall is None or not models:
        return UNMEASURED.capitalize() + "."
    rows = []
    for model in models:
        cells = [f"`{model}`"]
        for share in SHARES:
            values = figures.over_time(records, model, share)
            known = [value for value in values if value is not None]
            enough = len(known) == len(values)
            cells.append(f"{percent(mean(known))} (worst {percent(min(known))})" if enough else NONE)
        final = [float(r["validation_accuracy"]) for r in figures.trainings(records, model)]
        rows.append([*cells, percent(mean(final))])
    head = [
        "validation %",
        *(f"{share:g} × {YARDSTICK} ({share * wall:.1f} s)" for share in SHARES),
        "at the end",
    ]
    note = (
        f"Mean and worst over seeds of the last score before that share of {YARDSTICK}'s median wall time "
        f"({wall:.1f} s); a dash: no score yet."
    )
    return table(head, rows) + "\n\n" + note


def _corruptions(records: list[Record]) -> str:
    shown = [m for m in (YARDSTICK, *PROFILES) if figures.by_seed(records, m, min)]
    if not shown:
        return UNMEASURED.capitalize() + "."
    clean = [[float(r["accuracy"]) for r in figures.trainings(records, m)] for m in shown]
    rows = [["clean", *(percent(mean(values), 1) for values in clean)]]
    for name in figures.corruption_names(records):
        values = [figures.corrupted(records, m, name) for m in shown]
        rows.append([name.replace("_", " "), *(percent(mean(v), 1) for v in values)])
    means = [figures.by_seed(records, m, lambda values: sum(values) / len(values)) for m in shown]
    worst = [figures.by_seed(records, m, min) for m in shown]
    rows.append(["**mean**", *(f"**{percent(mean(values), 1)}**" for values in means)])
    rows.append(["**worst, of the worst seed**", *(f"**{percent(min(values), 1)}**" for values in worst)])
    head = ["test %, mean over seeds", *(f"`{m}`" if m in PROFILES else m for m in shown)]
    return table(head, rows)


def _sample(records: list[Record]) -> str:
    runs = figures.trainings(records, "fast", "sample")
    if not runs:
        return UNMEASURED.capitalize() + "."
    first = runs[0]
    gate = float(first["gate_accuracy"])
    rows = [
        [
            str(r["seed"]),
            percent(r["heldout_accuracy"], 1),
            f"{100 * (float(r['heldout_accuracy']) - gate):+.1f}",
            "passed" if r["gate_passed"] else f"**refused**: {r['gate_reasons']}",
            percent(r["accuracy"]),
            number(r["wall"]),
            number(r["cpu"]),
        ]
        for r in runs
    ]
    head = ["seed", "held-out %", "margin, points", "gate", "real test %", "fit wall s", "fit CPU s"]
    text = (
        f"`fast` on the sample that stands in where no data source answers: {first['n']:,} training and "
        f"{first['n_validation']:,} validation images, {first['steps']:,} steps of {first['batch']}; scored "
        f"on its {first['n_heldout']:,} held-out images (gate: {percent(gate, 1)} %) and on MNIST's own."
    )
    return text + "\n\n" + table(head, rows)


def _pipeline(records: list[Record]) -> str:
    stages = figures.of_kind(records, "stage")
    if not stages:
        return UNMEASURED.capitalize() + "."
    rows = [[r["stage"], number(r["wall"]), number(r["cpu"]), number(r["peak_mib"], 0)] for r in stages]
    light = [r for r in stages if r["stage"] in LIGHT]
    total = [number(sum(float(r[key]) for r in light)) for key in ("wall", "cpu")]
    rows.append(["**all besides train**", *(f"**{value}**" for value in total), NONE])
    lines = [
        "The stages of one `dvc repro` on full MNIST in a fresh copy, processes that they started included.",
        table(["stage", "wall s", "CPU s", "peak MiB"], rows),
    ]
    for r in figures.of_kind(records, "repro"):
        noop = figures.median([{"wall": wall} for wall in r["noop"]], "wall")
        lines.append(
            f"DVC itself took {number(r['dvc_cpu'])} CPU-s of that `dvc repro`. With nothing to do it takes "
            f"{number(noop, 2)} s (median of {len(r['noop'])}: {', '.join(number(w, 2) for w in r['noop'])})."
        )
    for r in figures.of_kind(records, "canonicalisation"):
        lines.append(
            f"Canonicalisation in the graph: `{r['model']}` answers a batch of {r['batch']} in "
            f"{number(r['with_ms'], 3)} ms an image with it and {number(r['without_ms'], 3)} ms without; the "
            f"median difference of {r['pairs']} pairs, in turn, is {number(r['ms_per_image'], 4)} ms."
        )
    return "\n\n".join(lines)
