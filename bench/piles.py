"""Measures how fast `digits read` reads piles, and whether its memory stays flat.

    python -m bench.piles                  20,000 strips, five ways; an hour on an idle machine
    python -m bench.piles --strips 2000    a first look

The strips are drawn as in bench.strips, 500 of them, each under many names. One worker and two that load the
model themselves, and one and two that ask an embedded server. Blank scans, which cost a worker little, show
what the driver costs. Figures are from the first chunk that was written to the last. Records are added to
.bench/piles.jsonl.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil

from bench.records import FOLDER, ROOT, Record, Run
from bench.report import report
from bench.serving import children
from bench.strips.__main__ import draw, serve
from bench.strips.scenes import FIELDS
from bench.strips.writing import encoded
from digits import dataset
from digits.runtime.errors import DataError, DigitsError
from flows.reading.table import notes

DIFFERENT = 500  # strips that are drawn
FOLDER_SIZE = 1000  # strips of a folder
EVERY = 2.0  # seconds between two looks at the processes' memory
MIB = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.piles", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strips", type=int, default=20_000, help="default: 20000")
    parser.add_argument("--blanks", type=int, default=50_000, help="blank scans; default: 50000")
    parser.add_argument("--rounds", type=int, default=1, help="default: 1")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "prepared", help="the prepared splits")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "exported", help="a SavedModel")
    parser.add_argument("--out", type=Path, default=FOLDER / "piles.jsonl", help="the file of records")
    given = parser.parse_args(argv)
    try:
        run = Run(given.out, seed=given.seed)
        with tempfile.TemporaryDirectory(prefix="digits-bench-") as name:
            scratch = Path(name)
            for record in measure(given, scratch):
                run.keep(record)
        print(report(run.records()))
    except DigitsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measure(given: argparse.Namespace, scratch: Path) -> Iterator[Record]:
    """Yield a record for each way in each round."""
    if not given.model.is_dir():
        raise DataError(
            f"{given.model} is no SavedModel: train one (digits run) or name another with --model"
        )
    strips = _pile(scratch / "strips", _drawn(scratch, given), given.strips)
    blank = scratch / "blank.png"
    blank.write_bytes(encoded(np.full((96, 96), 255.0)))
    blanks = _pile(scratch / "blanks", [blank], given.blanks)
    own = ("--saved-model", str(given.model.resolve()))
    for place in range(given.rounds):
        for workers in (1, 2):
            yield _read(strips, f"{workers} with the model", own, workers) | {"round": place}
        (scratch / "server").mkdir(exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=scratch / "server") as home,
            serve(given.model, Path(home)) as address,
        ):
            for workers in (1, 2):
                yield _read(strips, f"{workers}, one server", ("--server", address), workers) | {
                    "round": place
                }
            yield _read(blanks, "2, blank scans", ("--server", address), 2) | {"round": place}


def _drawn(scratch: Path, given: argparse.Namespace) -> list[Path]:
    """Draw DIFFERENT strips."""
    split = dataset.load_split(given.data / "test")
    (scratch / "drawn").mkdir()
    made = []
    for kind in FIELDS:
        each = -(-min(DIFFERENT, given.strips) // len(FIELDS))
        for place, photo in enumerate(draw(kind, split, given.seed, each)):
            made.append(scratch / "drawn" / f"{kind}-{place}")
            made[-1].write_bytes(photo.data)
    return made


def _pile(folder: Path, drawn: Sequence[Path], count: int) -> Path:
    """Give each picture so many names that there are as many as wanted."""
    for number, one in zip(range(count), cycle(drawn), strict=False):
        inside = folder / f"{number // FOLDER_SIZE:05}"
        inside.mkdir(parents=True, exist_ok=True)
        os.link(one, inside / f"{number:08}.png")
    return folder


def _read(pile: Path, way: str, options: Sequence[str], workers: int) -> Record:
    """Read a pile in processes of its own, and look at their memory and CPU time meanwhile."""
    scratch = pile.parent
    table = scratch / f"table-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "digits_cli", "read", pile.name, "--table", str(table), "--json"]
    command += ["--workers", str(workers), *options]
    seen: dict[int, list[Look]] = {}
    began = time.monotonic()
    process = children.start(command, scratch, scratch / "log", stdout=subprocess.PIPE)
    try:
        while process.poll() is None:
            _look(psutil.Process(process.pid), seen)
            time.sleep(EVERY)
    finally:
        children.stop(process)
    seconds = time.monotonic() - began
    assert process.stdout is not None
    said = process.stdout.read()
    if process.returncode:
        raise DigitsError(f"{' '.join(command)}: {(scratch / 'log').read_text(errors='replace')[-500:]}")
    summary = json.loads(said)
    if summary["failed"]:
        raise DigitsError(f"{summary['failed']} files failed: expected none")
    print(f"{way}: {seconds:.0f} s", file=sys.stderr, flush=True)
    first, last, files, size = _steady(table)
    steady = {pid: [look for look in looks if first <= look.time <= last] for pid, looks in seen.items()}
    busy = sorted((pid for pid in seen if pid != process.pid), key=lambda pid: -seen[pid][-1].cpu)[:workers]
    driver, *others = (_figures(steady[pid] or seen[pid], files) for pid in (process.pid, *busy))
    return {
        "kind": "pile",
        "way": way,
        "files": summary["files"],
        "seconds": seconds,
        "steady": files / max(last - first, 1e-9),
        "bytes": size / summary["files"],
        "worker_ms": sum(each["ms"] for each in others),
        "driver_ms": driver["ms"],
        "driver_mib": driver["mib"],
        "driver_growth": driver["growth"],
        "worker_mib": max(each["mib"] for each in others),
        "worker_growth": max(each["growth"] for each in others),
    }


class Look(NamedTuple):
    """A process at a time: seconds since 1970, resident MiB, seconds of CPU so far."""

    time: float
    mib: float
    cpu: float


def _look(process: psutil.Process, seen: dict[int, list[Look]]) -> None:
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                used, memory = each.cpu_times(), each.memory_info().rss / MIB
                seen.setdefault(each.pid, []).append(Look(time.time(), memory, used.user + used.system))


def _figures(looks: Sequence[Look], files: int) -> Record:
    """CPU ms a file, the memory at the end, its growth from the second quarter of the time to the last."""
    quarter = max(1, len(looks) // 4)
    early = median(look.mib for look in looks[quarter : 2 * quarter] or looks)
    late = median(look.mib for look in looks[-quarter:])
    return {
        "ms": 1000 * (looks[-1].cpu - looks[0].cpu) / max(files, 1),
        "mib": late,
        "growth": late / early - 1,
    }


def _steady(table: Path) -> tuple[float, float, int, int]:
    """When the first chunk was written, and the last; the files in between, and all bytes of the table."""
    parts = sorted((table / "table").glob("*/*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    first, last = parts[0].stat().st_mtime, parts[-1].stat().st_mtime
    files = sum(notes(table, part.stem)[0].files for part in parts[1:])
    return first, last, files, sum(part.stat().st_size for part in parts)


if __name__ == "__main__":
    sys.exit(main())
