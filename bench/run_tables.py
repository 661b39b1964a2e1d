"""Raw records → what is told of the run itself, of the sample and of the pipeline. Pure."""

from __future__ import annotations

from collections.abc import Callable

from bench import figures
from bench.figures import Record
from bench.plan import SHOWN
from bench.table import NONE, number, percent, table, unmeasured
from bench.targets import LIGHT


def machine(records: list[Record]) -> str:
    """What was measured, on what; and each session where it took several."""
    sessions = figures.sessions(records)
    if not sessions:
        return unmeasured()
    runs = figures.of_kind(records, "training")
    devices = ", ".join(sorted({str(r["device"]) for r in runs})) or NONE
    counts = {m: len(figures.trainings(records, m)) for m in SHOWN}
    n = ", ".join(f"{model} {count}" for model, count in counts.items() if count)
    rows = [
        ["machine", _different(sessions, _machine)],
        ["bfloat16 in the CPU", _different(sessions, lambda m: "yes" if m["bf16"] else "no")],
        ["trained on", devices],
        ["software", _different(sessions, lambda m: str(m["software"]))],
        ["trainings (seeds)", n or NONE],
        ["fastest matrix product", _peaks(records)],
    ]
    return table(["", ""], rows, left=2) + "\n\n" + _sessions(records, sessions)


def _machine(machine: Record) -> str:
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB"


def _different(sessions: list[Record], word: Callable[[Record], str]) -> str:
    return "; ".join(dict.fromkeys(word(each["machine"]) for each in sessions))


def _peaks(records: list[Record]) -> str:
    cpus = dict.fromkeys(each["machine"]["cpu"] for each in figures.sessions(records))
    names = sorted({name for r in figures.of_kind(records, "peak") for name in r["gflops"]}, reverse=True)
    known = [(name, figures.peak(records, name, cpu)) for cpu in cpus for name in names]
    return ", ".join(f"{name} {number(rate, 0)} GFLOP/s" for name, rate in known if rate) or NONE


def _sessions(records: list[Record], sessions: list[Record]) -> str:
    """A row for each commit and date that records were made in."""
    rows = []
    for each in sessions:
        made = [r for r in records if r["kind"] != "session" and r["session"] == each["session"]]
        for date, commit in dict.fromkeys((r["date"], figures.commit_of(r)) for r in made):
            own = [r for r in made if (r["date"], figures.commit_of(r)) == (date, commit)]
            trained = sum(r["kind"] == "training" for r in own)
            load = f"{each['machine']['load']:.1f}"
            rows.append([str(each["session"]), date, commit, f"`{each['command']}`", load, str(trained)])
    head = ["session", "date", "commit", "command", "load before it began", "trainings"]
    return table(head, rows, left=4)


def sample(records: list[Record]) -> str:
    """What the sample is good for, seed by seed."""
    runs = figures.trainings(records, "fast", "sample")
    if not runs:
        return unmeasured()
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


def compression(records: list[Record]) -> str:
    """The TFLite files of some profiles: how small, how good, how fast."""
    head = ["TFLite file of", "normalisation", "format", "bytes", "gzip bytes", "validation %", "test %"]
    head += ["same digit as Keras %", "µs an image", "÷ float32"]
    rows = []
    for r in figures.of_kind(records, "compression"):
        for f in r["files"]:
            inside = "inside" if f["normalizes"] else "before"
            cells = [f"`{r['model']}`", inside, f["format"], f"{f['bytes']:,}", f"{f['gzip_bytes']:,}"]
            cells += [percent(f[key]) for key in ("validation_accuracy", "accuracy", "agreement")]
            rows.append([*cells, number(f["us"], 0), number(f["ratio"], 2)])
        keras = [f"`{r['model']}`", "inside", "Keras", NONE, NONE]
        keras += [percent(r[key]) for key in ("validation_accuracy", "accuracy")]
        rows.append([*keras, NONE, NONE, NONE])
    return table(head, rows, left=3) if rows else unmeasured()


def pipeline(records: list[Record]) -> str:
    """What each stage takes, a run with nothing to do, and canonicalisation."""
    stages = figures.of_kind(records, "stage")
    if not stages:
        return unmeasured()
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


def told(record: Record) -> str:
    """A record in a few words."""
    if record["kind"] == "peak":
        return ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in record["gflops"].items())
    if record["kind"] == "canonicalisation":
        return f"{record['ms_per_image']:.4f} ms an image"
    if record["kind"] == "compression":
        return ", ".join(f"{f['format']} {f['accuracy']:.2%}" for f in record["files"] if f["normalizes"])
    seconds = f"{record['wall']:.1f} s wall, {record['cpu']:.1f} CPU-s"
    return f"{seconds}, {record['accuracy']:.2%}" if "accuracy" in record else seconds
