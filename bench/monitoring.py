"""Measures monitoring on MNIST's test digits: false alarms, how soon a change is found, and what a look
costs.

    python -m bench.monitoring                          after `make run` on full MNIST
    python -m bench.monitoring --replays 5 --starts 10  a look at it

The requests are drawn from the test images, which neither the model nor the reference has seen, and come at
random times. Records are added to .bench/monitoring.jsonl, and their table is printed: docs/results.md
quotes it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bench.edge import answer
from bench.mnist_c import corrupt as corrupt_as_mnist_c
from bench.records import FOLDER, ROOT, Record, Run
from bench.report import report
from digits import dataset, files, non_digits, wire
from digits.dataset import CLASSES
from digits.evaluate.corruptions import corrupt
from digits.export import reference as export_reference
from digits.export.stage import LINES
from digits.facts import facts
from digits.line_model.lines import first, load_lines
from serving.monitoring import judge, reference
from serving.monitoring.findings import Finding
from serving.monitoring.reference import Reference

RATE = 200  # requests an hour
HOUR, DAY = 3600.0, 86_400.0
DAYS = 30
SEED, VERSION = 1, 1
BEFORE, AFTER = 500, 1000  # requests before the change, and after it until one gives up
SHARE = 0.2  # of the requests that have changed
WITHIN = 300  # requests in which a change should be found
EVERY = 5  # of the test images, for what is changed
LOOK = 100_000  # rows of the look whose cost is measured

Table = dict[str, NDArray[Any]]  # columns of images


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.monitoring", description=(__doc__ or "").split("\n")[0]
    )
    for name, default in {
        "prepared": "data/prepared", "exported": "models/exported", "lines": "models/lines",
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, default=ROOT / default, help=f"default: {default}")
    parser.add_argument("--replays", type=int, default=200, help=f"of {DAYS} days of clean digits")
    parser.add_argument("--starts", type=int, default=100, help="of each change")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; default: a core each")
    parser.add_argument("--out", type=Path, default=FOLDER / "monitoring.jsonl", help="the file of records")
    given = parser.parse_args(argv)
    run = Run(given.out)
    known = reference.parse(compared_with(given.exported, given.prepared, given.lines), VERSION)
    test = dataset.load_split(given.prepared / "test")
    clean = columns(given.exported, test.images)
    changed = {
        name: columns(given.exported, images) for name, images in changes(test.images[::EVERY]).items()
    }
    half = len(test) // 2  # MNIST's test images were written by two groups of people
    for name, part in {
        "all": slice(None),
        "first half": slice(half),
        "second half": slice(half, None),
    }.items():
        run.keep(nearest(name, {column: values[part] for column, values in clean.items()}, known))
    spawn = get_context("spawn")  # processes without TensorFlow
    with spawn.Pool(1) as alone:
        run.keep(alone.apply(cost, (clean, known)))
    with spawn.Pool(given.workers) as pool:
        waits = [
            pool.apply_async(detection, (name, clean, table, known, given.starts))
            for name, table in changed.items()
        ]
        waits.append(pool.apply_async(missing, (clean, known, given.starts)))
        run.keep(*(each.get() for each in waits))
        replays = ((clean, known, replay) for replay in range(given.replays))
        run.keep(false_alarms(pool.starmap(alarms_of, replays, chunksize=1)))
    print(report(run.records()))
    return 0


def compared_with(exported: Path, prepared: Path, lines: Path) -> Any:
    """The exported model's monitoring.json; made here where it was exported without."""
    if (exported / wire.MONITORING).is_file():
        return files.read_json(exported / wire.MONITORING)
    import tensorflow as tf

    from digits.line_model.candidate import VALIDATION

    served = tf.saved_model.load(str(exported)).signatures
    return export_reference.of_version(
        [dataset.load_split(prepared / name, mmap=True) for name in ("train", "validation")],
        lambda images: served[wire.PIXELS](images=tf.constant(images)),
        lambda images, width: served[wire.LINES](lines=tf.constant(images), width=tf.constant(width)),
        first(load_lines(lines / VALIDATION), LINES),
        files.read_json(exported / wire.PROVENANCE)["metrics"]["accuracy"],
    )


def changes(images: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """What may become of the requests, by name."""
    return {
        "fog": corrupt_as_mnist_c("fog", images, SEED),
        "thick strokes": corrupt("thick", images, SEED),
        "inverted": corrupt("inverted", images, SEED),
        "shifted crops": corrupt("shift", images, SEED),
        "letters": non_digits.make("letters", len(images), SEED),
        "broken client: 0–1 as bytes": (images / 255).astype(np.uint8),
        "pale ink on grey": corrupt("low_contrast", images, SEED),
    }


def columns(exported: Path, images: NDArray[np.uint8]) -> Table:
    """What the request log keeps of images and their answers, but for the time."""
    answers = answer(exported, images)
    told = {name: answers[name].astype(np.float64) for name in (wire.DIGIT, wire.CONFIDENCE, wire.ACCEPTED)}
    return {**facts(images), **told}


def logged(table: Table, chosen: NDArray[np.intp], rng: np.random.Generator) -> pd.DataFrame:
    """The rows of requests for these images, one after the other at random times."""
    rows = pd.DataFrame({name: values[chosen] for name, values in table.items()})
    return rows.assign(
        at=np.cumsum(rng.exponential(HOUR / RATE, len(rows))),
        digest=np.arange(len(rows)).astype(str),
        version=VERSION,
        source="gateway",
        route="/api/predict",
        kind="digit",
        status=200,
        latency=0.01,
    )


def raised(rows: pd.DataFrame, known: Reference) -> list[Finding]:
    """All alarms of these rows, which stand in the end or not."""
    findings, _ = judge.look(rows, known, None)
    return sorted([*findings.alarms, *findings.cleared], key=lambda finding: finding.at)


def nearest(name: str, table: Table, known: Reference) -> Record:
    """Which event comes nearest to its bound among these images."""
    rows = logged(table, np.arange(len(table["digit"])), np.random.default_rng(SEED))
    events = judge.look(rows, known, None)[0].events
    room, share, bound, event = min(
        ((e.bound - e.share) * (1 if e.too_often else -1), e.share, e.bound, e.name)
        for e in events
        if e.share is not None and e.group in ("inputs", "answers", "digits")
    )
    found = {"event": event, "share": share, "bound": bound, "room": room}
    return {"kind": "monitoring room", "images": name, "n": len(rows), **found}


def alarms_of(clean: Table, known: Reference, replay: int) -> list[str]:
    """The names of the alarms that clean requests of DAYS raise."""
    rng = np.random.default_rng([SEED, replay])
    chosen = rng.integers(len(clean["digit"]), size=DAYS * 24 * RATE)
    return [alarm.name for alarm in raised(logged(clean, chosen, rng), known)]


def false_alarms(replays: Sequence[Sequence[str]]) -> Record:
    """How many alarms there were, from those of each replay."""
    counts = [len(names) for names in replays]
    # The largest mean with which so few would be seen in 5 % of repetitions, were they Poisson's.
    upper = float(stats.chi2.ppf(0.95, 2 * (sum(counts) + 1))) / 2 / len(counts)
    return {
        "kind": "monitoring alarms",
        "n": len(counts),
        "days": DAYS,
        "mean": sum(counts) / len(counts),
        "upper": upper,
        "most": max(counts),
        "names": sorted({name for names in replays for name in names}),
    }


def detection(name: str, clean: Table, changed: Table, known: Reference, starts: int) -> Record:
    """How many requests pass until an alarm, when SHARE of them are other ones."""
    both = {column: np.concatenate([clean[column], changed[column]]) for column in clean}
    n, others = len(clean["digit"]), len(changed["digit"])

    def after(rng: np.random.Generator, _: int) -> NDArray[np.intp]:
        other = rng.random(AFTER) < SHARE
        return np.where(other, n + rng.integers(others, size=AFTER), rng.integers(n, size=AFTER))

    return waiting(name, both, n, after, known, starts)


def missing(clean: Table, known: Reference, starts: int) -> Record:
    """The same when one digit is missing, each in its turn."""

    def after(rng: np.random.Generator, start: int) -> NDArray[np.intp]:
        return rng.choice(np.flatnonzero(clean["digit"] != start % CLASSES), AFTER)

    return waiting("one digit missing", clean, len(clean["digit"]), after, known, starts)


def waiting(
    name: str,
    table: Table,
    n: int,
    after: Callable[[np.random.Generator, int], NDArray[np.intp]],
    known: Reference,
    starts: int,
) -> Record:
    """n: how many of the first rows of the table are clean. after: rows of the table once all has changed."""
    waited, names = [], []
    for start in range(starts):
        rng = np.random.default_rng([SEED, 1, start])
        rows = logged(table, np.concatenate([rng.integers(n, size=BEFORE), after(rng, start)]), rng)
        at = rows["at"].to_numpy()[BEFORE:]
        alarms = [alarm for alarm in raised(rows, known) if alarm.at >= at[0]]
        waited.append(int((at <= alarms[0].at).sum()) if alarms else AFTER)
        names += [alarm.name for alarm in alarms[:1]]
    return {
        "kind": "monitoring change",
        "change": name,
        "n": starts,
        "median": float(np.median(waited)),
        "p95": float(np.quantile(waited, 0.95)),
        "within": int(np.sum(np.array(waited) <= WITHIN)),
        "first": max(set(names), key=names.count) if names else "",
    }


def cost(clean: Table, known: Reference) -> Record:
    """What one look at many rows takes, in a process that does nothing else."""
    rng = np.random.default_rng(SEED)
    rows = logged(clean, rng.integers(len(clean["digit"]), size=LOOK), rng)
    started = time.process_time()
    judge.look(rows, known, None)
    spent = time.process_time() - started
    # Linux's own: what getrusage tells of a process may be the peak of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {"kind": "monitoring cost", "rows": LOOK, "cpu": spent, "peak_mib": peak / 1024}


if __name__ == "__main__":
    raise SystemExit(main())
