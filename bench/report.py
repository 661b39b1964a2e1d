"""Prints the records of benches as tables in Markdown.

    python -m bench.report .bench/train.jsonl .bench/gateway.jsonl

Every bench prints this at its end. Records of serving have `python -m bench.serving.report`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.records import Record, read
from bench.references import BASELINE
from digits.evaluate.metrics import wilson
from digits.runtime.errors import DataError, DigitsError

NONE = "–"
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)  # of the baseline's wall time: where accuracy over time is read off
SUITES = {"corruptions": "corruptions", "mnist_c": "MNIST-C"}
TRIAL = "**A trial of the bench itself: its figures mean nothing.**"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a file of records, one per line")
    try:
        print(report(read(*parser.parse_args(argv).files)))
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def report(records: Sequence[Record]) -> str:
    """Return what was measured, on what, and a table for each kind of record.

    Raises DataError where there are no records.
    """
    parts = [f"## {title}\n\n{text}" for title, make in TABLES.items() if (text := make(records))]
    if not parts:
        raise DataError(f"none of the {len(records)} records can be shown: is it the file of another bench?")
    return "\n\n".join([origin(records), *parts])


def origin(records: Sequence[Record]) -> str:
    """Return dates, commits, machines and software of the records."""
    machines = [r["machine"] for r in records]
    dates, commits = sorted({r["date"] for r in records}), dict.fromkeys(r["commit"] for r in records)
    where = (f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']:.0f} GiB; {m['software']}" for m in machines)
    note = " (+: with changes that are not committed)" if any("+" in name for name in commits) else ""
    loads = ", ".join(dict.fromkeys(number(m["load"]) for m in machines))
    lines = [
        f"- runs begun: {', '.join(dates)}",
        f"- commit {', '.join(commits)}{note}",
        *(f"- {each}" for each in dict.fromkeys(where)),
        f"- load before: {loads}",
    ]
    return "\n".join([TRIAL, "", *lines] if any(r.get("quick") for r in records) else lines)


# --- numbers


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first `left` columns are text, the others numbers."""
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with a fixed count of decimals; a dash for None."""
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    """Return a share in per cent, without the sign."""
    return number(None if value is None else 100 * value, digits)


def mean(values: Iterable[float]) -> float | None:
    """Return the mean, None for no values."""
    values = list(values)
    return statistics.fmean(values) if values else None


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation of shares, in per cent."""
    return percent(mean(values)) + (f" ± {percent(statistics.stdev(values))}" if len(values) > 1 else "")


def interval(right: float | None, n: float | None, digits: int = 2) -> str:
    """Return a share in per cent with its 95 % interval (Wilson)."""
    if not n or right is None:
        return NONE
    low, high = (percent(bound, digits) for bound in wilson(round(right), round(n)))
    return f"{percent(right / n, digits)} ({low} to {high})"


def pairs(
    ours: Iterable[Record], base: Iterable[Record], value: str, *group: str
) -> list[tuple[float, float]]:
    """Return a figure of each record and of the base's in the same run and the same `group`, where there is
    one.
    """
    keys = ("date", *group)
    known = {tuple(r[key] for key in keys): r[value] for r in base}
    values = [(r[value], known.get(tuple(r[key] for key in keys))) for r in ours]
    return [(a, b) for a, b in values if a is not None and b]


def select(records: Iterable[Record], **fields: object) -> list[Record]:
    """Return the records that have these values."""
    return [r for r in records if all(r.get(key) == value for key, value in fields.items())]


def latest(records: Iterable[Record], kind: str) -> list[Record]:
    """Return the records of a kind of the last run that has any."""
    records = select(records, kind=kind)
    return select(records, date=max((r["date"] for r in records), default=""))


# --- trainings


def trainings(records: Iterable[Record], kind: str = "training") -> dict[str, list[Record]]:
    """Return the trainings of each model by seed; where one commit trained a seed again, the last counts."""
    last = {(r["model"], r["seed"], r["commit"]): r for r in select(records, kind=kind)}
    by_model: dict[str, list[Record]] = {}
    for record in sorted(last.values(), key=lambda r: int(r["seed"])):
        by_model.setdefault(record["model"], []).append(record)
    order = list(dict.fromkeys(r["model"] for r in select(records, kind=kind)))
    return {model: by_model[model] for model in order}


def ratios(records: Iterable[Record], model: str, key: str = "wall") -> list[float]:
    """Return a model's seconds ÷ the baseline's in the same round of the same run."""
    runs = select(records, kind="training")
    return [a / b for a, b in pairs(select(runs, model=model), select(runs, model=BASELINE), key, "seed")]


def accuracy_after(curve: Iterable[Record], seconds: float) -> float | None:
    """Return the accuracy of the last probe that the training had passed by then; None before the first."""
    before = [probe for probe in curve if float(probe["seconds"]) <= seconds]
    return float(max(before, key=lambda probe: float(probe["seconds"]))["accuracy"]) if before else None


def _accuracy(records: Sequence[Record]) -> str:
    head = ["model", "n", "steps", "batch", "test %", "ECE %"]
    head += [f"{name}: {which} %" for name in SUITES.values() for which in ("mean", "worst")]
    head += ["wall s", "CPU s", f"wall ÷ {BASELINE}", f"CPU ÷ {BASELINE}"]
    rows = []
    for model, runs in trainings(records).items():
        off = mean(r["calibration_error"] for r in runs if "calibration_error" in r)
        cells = [model, str(len(runs)), f"{runs[0]['steps']:,}", str(runs[0]["batch"])]
        cells += [spread([r["accuracy"] for r in runs]), percent(off)]
        for suite in SUITES:
            every = [r[suite].values() for r in runs]
            cells += [percent(mean(mean(each) or 0.0 for each in every), 1), percent(min(map(min, every)), 1)]
        cells += [number(median(r[key] for r in runs)) for key in ("wall", "cpu")]
        rows.append([*cells, *(number(median(ratios(records, model, key)), 2) for key in ("wall", "cpu"))])
    return table(head, rows) if rows else ""


def _speed(records: Sequence[Record]) -> str:
    head = ["model", "parameters", "forward MFLOP", "training GFLOP/s", "share of peak %", "peak of"]
    rows = []
    for model, runs in trainings(records).items():
        first = runs[0]
        rates = [r["flop"] / r["wall"] / 1e9 for r in runs]
        peaks = [_peak(records, r) for r in runs]
        shares = [rate / most if most else None for rate, most in zip(rates, peaks, strict=True)]
        cells = [model, f"{first['parameters']:,}", number(first["forward_flop"] / 1e6, 2)]
        rows.append([*cells, number(median(rates)), percent(median(shares), 1), first["precision"]])
    return table(head, rows) if rows else ""


def _peak(records: Sequence[Record], run: Record) -> float | None:
    """Return the GFLOP/s of the fastest matrix product of any round, in a training's precision and on its
    CPU.
    """
    like = [r for r in select(records, kind="peak") if r["machine"]["cpu"] == run["machine"]["cpu"]]
    return max((r["gflops"].get(run["precision"], 0.0) for r in like), default=None)


def _served(records: Sequence[Record]) -> str:
    kinds = [(size, threads) for size in ("1", "32") for threads in ("one", "all")]
    head = ["exported", "SavedModel kB"]
    for size, threads in kinds:
        head += [f"{size} image{'s' * (size != '1')}, {threads} thread{'s' * (threads == 'all')}: µs"]
        head += [f"÷ {BASELINE}"]
    rows = []
    for model, every in trainings(records).items():
        if runs := [r for r in every if "latency" in r]:
            cells = [model, number((median(r["saved_bytes"] for r in runs) or 0.0) / 1000, 0)]
            for size, threads in kinds:
                times = [r["latency"][threads][size] for r in runs]
                cells += [number(median(each["us"] for each in times), 0)]
                cells += [number(median(each["ratio"] for each in times), 2)]
            rows.append(cells)
    return table(head, rows) if rows else ""


def _unsure(records: Sequence[Record]) -> str:
    """Return the table of test images answered at validation's threshold, and of non-digits refused by it."""
    rows = []
    for model, every in trainings(records).items():
        if runs := [r for r in every if "abstention" in r]:
            answers = [r["abstention"] for r in runs]
            answered, right = (mean(each[key] for each in answers) for key in ("answered", "correct"))
            wrong = ", ".join(f"{each['answered'] - each['correct']:.0f}" for each in answers)
            refused = [mean(r["refused"].values()) or 0.0 for r in runs]
            cells = [
                model,
                str(len(runs)),
                interval(answered, answers[0]["n"]),
                interval(right, answered),
                wrong,
            ]
            worst = min(min(r["refused"].values()) for r in runs)
            rows.append([*cells, percent(mean(refused), 1), percent(worst, 1)])
    head = [
        "model",
        "n",
        "answered %",
        "of those right %",
        "wrong, by seed",
        "no digit: refused %",
        "worst kind %",
    ]
    return table(head, rows) if rows else ""


def _over_time(records: Sequence[Record]) -> str:
    """Return validation accuracy at shares of the baseline's time in the same round: mean, and worst seed."""
    rows = []
    for model, every in trainings(records).items():
        if runs := [r for r in every if r.get("curve")]:
            cells = [model]
            for share in SHARES:
                scores = [
                    accuracy_after(r["curve"], share * base["wall"])
                    for r in runs
                    for base in _base(records, r)
                ]
                known = [value for value in scores if value is not None]
                whole = known and len(known) == len(scores)
                cells.append(f"{percent(mean(known))} (worst {percent(min(known))})" if whole else NONE)
            rows.append([*cells, percent(mean(r["validation_accuracy"] for r in runs))])
    return (
        table(["validation %", *(f"{s:g} × {BASELINE}" for s in SHARES), "at the end"], rows) if rows else ""
    )


def _base(records: Sequence[Record], run: Record) -> list[Record]:
    """Return the baseline's training in the same round of the same run, if there is one."""
    return select(records, kind="training", model=BASELINE, date=run["date"], seed=run["seed"])[-1:]


def _suite(suite: str) -> Callable[[Sequence[Record]], str]:
    """Return a function that makes the table of one suite of corruptions."""

    def make(records: Sequence[Record]) -> str:
        models = trainings(records)
        names = next((list(runs[0][suite]) for runs in models.values()), [])
        rows = [["clean", *(percent(mean(r["accuracy"] for r in runs), 1) for runs in models.values())]]
        for name in names:
            shares = (mean(r[suite][name] for r in runs) for runs in models.values())
            rows.append([name.replace("_", " "), *(percent(share, 1) for share in shares)])
        return table(["test %, mean over seeds", *models], rows) if names else ""

    return make


def _sample(records: Sequence[Record]) -> str:
    rows = []
    for runs in trainings(records, "sample").values():
        for r in runs:
            cells = [str(r["seed"]), percent(r["heldout_accuracy"], 1), percent(r["gate_accuracy"], 1)]
            cells += [
                "passed" if r["gate_passed"] else f"refused: {r['gate_reasons']}",
                percent(r["accuracy"]),
            ]
            rows.append([*cells, number(r["wall"]), number(r["cpu"])])
    head = ["seed", "held-out %", "wanted %", "gate", "real test %", "fit wall s", "fit CPU s"]
    return table(head, rows) if rows else ""


def _lines(records: Sequence[Record]) -> str:
    rows = []
    for runs in trainings(records, "line_reader").values():
        for r in runs:
            cells = [r["model"], f"{r['n']:,}", str(r["seed"]), f"{r['lines']['steps']:,}"]
            cells += [percent(r["lines_exact"], 1), number(r["lines"]["wall"]), number(r["fast"]["wall"])]
            rows.append([*cells, number(r["lines"]["wall"] / r["fast"]["wall"], 2)])
    head = [
        "data",
        "n",
        "seed",
        "steps",
        "composed lines exact %",
        "fit wall s",
        "`fast` fit wall s",
        "÷ `fast`",
    ]
    return table(head, rows) if rows else ""


def _pipeline(records: Sequence[Record]) -> str:
    stages = latest(records, "stage")
    rows = [[r["stage"], number(r["wall"]), number(r["cpu"]), number(r["peak_mib"], 0)] for r in stages]
    lines = [table(["stage", "wall s", "CPU s", "peak MiB"], rows)] if rows else []
    for r in latest(records, "repro"):
        idle = f"with nothing to do {number(median(r['noop']), 2)} s (median of {len(r['noop'])})"
        lines.append(f"`dvc repro`: {number(r['wall'])} s, DVC itself {number(r['dvc_cpu'])} CPU-s; {idle}.")
    for r in latest(records, "cold"):
        lines.append(f"`make run` from nothing, packages downloaded: {number(r['wall'], 0)} s.")
    for r in latest(records, "canonicalisation"):
        took = f"{number(r['with_ms'], 3)} ms an image with it, {number(r['without_ms'], 3)} ms without"
        more = f"median difference of {r['pairs']} pairs: {number(r['ms_per_image'], 4)} ms"
        lines.append(f"Canonicalisation, `{r['model']}`, a batch of {r['batch']}: {took}; {more}.")
    return "\n\n".join(lines)


# --- formats, photos, the gateway, orchestration


def _formats(records: Sequence[Record]) -> str:
    head = ["format", "kB", "same answer %", "accuracy %", "largest difference", "ms an image"]
    rows = []
    for r in latest(records, "format"):
        if "refused" in r:
            rows.append([f"{r['format']}: {r['refused']}", *[""] * 5])
            continue
        cells = [r["format"], number(r["bytes"] / 1000, 0), percent(r["agreement"]), percent(r["accuracy"])]
        rows.append([*cells, number(r["difference"], 6), number(r.get("latency_ms"), 3)])
    return table(head, rows) if rows else ""


def _browser(records: Sequence[Record]) -> str:
    head = ["in Chromium", "same digit %", "accuracy %", "largest difference", "accepted alike %"]
    shares, times = ("agreement", "accuracy"), ("loading_ms", "median_ms", "p95_ms")
    rows = [
        [
            r["backend"],
            *(percent(r[key]) for key in shares),
            number(r["difference"], 6),
            percent(r["accepted"]),
        ]
        + [number(r[key]) for key in times]
        for r in latest(records, "browser")
    ]
    lines = [table([*head, "loading ms", "median ms", "95 % ms"], rows)] if rows else []
    for r in latest(records, "pictures"):
        same = f"same digit {percent(r['agreement'])} %, largest difference {number(r['difference'], 6)}"
        lines.append(f"{r['n']} pictures: {same}, {r['ms']:.0f} ms each.")
    for r in latest(records, "lines"):
        same = f"same text {percent(r['agreement'])} %, accepted alike {percent(r['accepted'])} %"
        apart = f"largest difference of a confidence {number(r['difference'], 6)}"
        lines.append(
            f"{r['n']} lines: {same}, {apart}, {r['ms']:.0f} ms each, {r['loading_ms']:.0f} ms to load."
        )
    for r in latest(records, "page"):
        lines.append(f"Page and runtime: {r['gzip_bytes'] / 1000:.0f} kB gzipped, besides the model.")
    return "\n\n".join(lines)


STRIPS = {"right": "numbers right %", "answered": "numbers answered %", "accepted": "answers right %"}


def _strips(records: Sequence[Record]) -> str:
    rows, lines = [], []
    for r in latest(records, "strips"):
        cells = [f"{r['strips']}, {r['split']} digits" if r["split"] else r["strips"], str(r["n"])]
        rows.append([*cells, *(interval(r[key]["right"], r[key]["n"], 1) for key in STRIPS)])
        wrong = ", ".join(f"{each['file']} ({each['text']}: {each['read']!r})" for each in r.get("wrong", []))
        lines += [f"Accepted and wrong of {r['strips']}: {wrong}."] if wrong else []
    lines = [table(["pictures", "n", *STRIPS.values()], rows), *lines] if rows else []
    for r in latest(records, "photo"):
        lines.append(f"A photo of {r['photos']}: {number(r['median_ms'], 0)} ms (median).")
    rows = [
        [f"{r['case']}, {r['split']} digits", *(str(r[key]) for key in ("n", "right", "sure_and_wrong"))]
        for r in latest(records, "case")
    ]
    lines += [table(["case", "n", "right", "accepted and wrong"], rows)] if rows else []
    return "\n\n".join(lines)


def _gateway(records: Sequence[Record]) -> str:
    """Return every way to ask, compared with the first in the same round."""
    runs = select(records, kind="gateway")
    cases, counts = (dict.fromkeys(r[key] for r in runs) for key in ("case", "clients"))
    head = ["one image a request"]
    for count in counts:
        clients = f"{count} client{'s' * (count > 1)}"
        head += [f"p50 ms, {clients}", "more", f"requests/s, {clients}", "÷ first"]
    rows = []
    for case in cases:
        cells = [case]
        for count in counts:
            own, first = (select(runs, case=name, clients=count) for name in (case, next(iter(cases))))
            more = [a - b for a, b in pairs(own, first, "p50_ms", "round")]
            rates = [a / b for a, b in pairs(own, first, "requests_per_s", "round")]
            cells += [number(median(r["p50_ms"] for r in own), 2), number(median(more), 2)]
            cells += [number(median(r["requests_per_s"] for r in own), 0), number(median(rates), 2)]
        rows.append(cells)
    failed = f"\n\n{sum(r['failed'] for r in runs)} failed requests."
    return table(head, rows) + failed if rows else ""


def _orchestration(records: Sequence[Record]) -> str:
    """Return every way to do the same work, compared with the first in the same round."""
    rows = []
    for work in dict.fromkeys(r["work"] for r in select(records, kind="orchestration")):
        own = select(records, kind="orchestration", work=work)
        first = select(own, way=own[0]["way"])
        for way in dict.fromkeys(r["way"] for r in own):
            shares = [a / b for a, b in pairs(select(own, way=way), first, "seconds", "round")]
            middle = number(median(r["seconds"] for r in select(own, way=way)))
            rows.append([work, way, str(len(select(own, way=way))), middle, number(median(shares), 2)])
    return table(["work", "way", "rounds", "seconds", "÷ first"], rows, left=2) if rows else ""


def _monitoring(records: Sequence[Record]) -> str:
    parts = [
        f"{r['n']} replays of {r['days']} days of clean digits: {number(r['mean'], 3)} alarms on average "
        f"(95 % confidence: at most {number(r['upper'], 3)}), {r['most']} in the worst."
        for r in latest(records, "monitoring alarms")
    ]
    head = ["changed", "n", "requests until the alarm: median", "95 %", "within 300 %", "mostly by"]
    rows = []
    for r in latest(records, "monitoring change"):
        waited = [number(r["median"], 0), number(r["p95"], 0), percent(r["within"] / r["n"], 0)]
        rows.append([r["change"], str(r["n"]), *waited, r["first"]])
    parts += [table(head, rows)] if rows else []
    head = ["test images", "n", "event nearest to its bound", "share %", "bound %"]
    rows = [
        [r["images"], f"{r['n']:,}", r["event"], percent(r["share"]), percent(r["bound"])]
        for r in latest(records, "monitoring room")
    ]
    parts += [table(head, rows)] if rows else []
    parts += [
        f"A look at {r['rows']:,} rows: {number(r['cpu'])} CPU-s, {number(r['peak_mib'], 0)} MiB at most."
        for r in latest(records, "monitoring cost")
    ]
    return "\n\n".join(parts)


def _piles(records: Sequence[Record]) -> str:
    """Return every way to read a pile; the share is of the strips a second of the same way's one worker."""
    rows = []
    runs = latest(records, "pile")
    for way in dict.fromkeys(r["way"] for r in runs):
        own = select(runs, way=way)
        alone = select(runs, way=way.replace("2", "1", 1))
        shares = [a / b for a, b in pairs(own, alone, "steady", "round")]
        cells = [way, str(own[0]["files"]), number(median(r["seconds"] for r in own), 0)]
        cells += [number(median(r["steady"] for r in own)), number(median(shares), 2)]
        cells += [number(median(r[f"{name}_ms"] for r in own), 2) for name in ("worker", "driver")]
        for name in ("driver", "worker"):
            mib, growth = (median(r[f"{name}_{what}"] for r in own) for what in ("mib", "growth"))
            cells += [number(mib, 0), percent(growth)]
        rows.append(cells)
    head = ["workers", "strips", "s", "strips/s", "÷ one", "worker CPU ms", "driver CPU ms"]
    head += ["driver MiB", "growth %", "worker MiB", "growth %"]
    return table(head, rows) if rows else ""


TABLES: dict[str, Callable[[Sequence[Record]], str]] = {
    "Models": _accuracy,
    "Training speed": _speed,
    "Exported models": _served,
    "Answers withheld": _unsure,
    "Accuracy over time": _over_time,
    "Corruptions": _suite("corruptions"),
    "MNIST-C": _suite("mnist_c"),
    "Sample data set": _sample,
    "The line reader's training": _lines,
    "Pipeline": _pipeline,
    "The model in other formats": _formats,
    "The model in a browser": _browser,
    "Photos with several digits": _strips,
    "The gateway": _gateway,
    "Orchestration": _orchestration,
    "Monitoring": _monitoring,
    "Piles of scans": _piles,
}


if __name__ == "__main__":
    sys.exit(main())
