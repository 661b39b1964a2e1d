"""Measures how fast `digits read` reads piles, and whether its memory stays flat.

    python -m bench.piles                  20,000 strips, four ways; an hour on an idle machine
    python -m bench.piles --strips 2000    a first look

The strips are drawn as in bench.strips, 500 of them, each under many names. One worker and two that load the
model themselves, and one and two that ask an embedded server. Records are added to .bench/piles.jsonl.
"""

from __future__ import annotations

import argparse
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
from typing import Any

import psutil

from bench.records import FOLDER, ROOT, Record, Run
from bench.report import report
from bench.serving import children
from bench.strips.__main__ import draw, serve
from bench.strips.scenes import FIELDS
from digits import dataset
from digits.runtime.errors import DataError, DigitsError

DIFFERENT = 500  # strips that are drawn
FOLDER_SIZE = 1000  # strips of a folder
EVERY = 1.0  # seconds between two looks at the processes' memory
MIB = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.piles", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strips", type=int, default=20_000, help="default: 20000")
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
    pile(scratch, given)
    own = ("--saved-model", str(given.model.resolve()))
    for place in range(given.rounds):
        for workers in (1, 2):
            yield _read(scratch, given.strips, f"{workers} with the model", own, workers) | {"round": place}
        (scratch / "server").mkdir(exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=scratch / "server") as home,
            serve(given.model, Path(home)) as address,
        ):
            for workers in (1, 2):
                asking = ("--server", address)
                yield _read(scratch, given.strips, f"{workers}, one server", asking, workers) | {
                    "round": place
                }


def pile(scratch: Path, given: argparse.Namespace) -> None:
    """Draw DIFFERENT strips, and give each so many names that there are as many as wanted."""
    split = dataset.load_split(given.data / "test")
    kinds = list(FIELDS)
    drawn = []
    (scratch / "drawn").mkdir()
    each = -(-min(DIFFERENT, given.strips) // len(kinds))
    for kind in kinds:
        for place, photo in enumerate(draw(kind, split, given.seed, each)):
            drawn.append(scratch / "drawn" / f"{kind}-{place}")
            drawn[-1].write_bytes(photo.data)
    for number, one in zip(range(given.strips), cycle(drawn), strict=False):
        folder = scratch / "strips" / f"{number // FOLDER_SIZE:05}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(one, folder / f"{number:08}.jpg")


def _read(scratch: Path, strips: int, way: str, options: Sequence[str], workers: int) -> Record:
    """Read the pile in processes of its own, and look at their memory meanwhile."""
    table = scratch / f"table-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "digits_cli", "read", "strips", "--table", str(table), "--json"]
    command += ["--workers", str(workers), *options]
    seen: dict[int, list[tuple[float, float, float]]] = {}  # time, MiB, CPU seconds of each process
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
    if summary["files"] != strips or summary["failed"]:
        raise DigitsError(f"{summary['files']} files, {summary['failed']} failed, expected {strips} read")
    print(f"{way}: {seconds:.0f} s", file=sys.stderr, flush=True)
    busy = sorted((pid for pid in seen if pid != process.pid), key=lambda pid: -seen[pid][-1][2])[:workers]
    driver, *_ = figures = [_memory(seen[pid]) for pid in (process.pid, *busy)]
    return {
        "kind": "pile",
        "way": way,
        "workers": workers,
        "files": strips,
        "seconds": seconds,
        "steady": _steady(table),
        "worker_cpu": sum(seen[pid][-1][2] for pid in busy),
        "driver_cpu": seen[process.pid][-1][2],
        "driver_mib": driver["mib"],
        "driver_growth": driver["growth"],
        "worker_mib": max(each["mib"] for each in figures[1:]),
        "worker_growth": max(each["growth"] for each in figures[1:]),
        "fields": summary["fields"],
    }


def _look(process: psutil.Process, seen: dict[int, list[tuple[float, float, float]]]) -> None:
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return
    for each in family:
        try:
            used = each.cpu_times()
            memory = each.memory_info().rss / MIB
        except psutil.Error:
            continue
        seen.setdefault(each.pid, []).append((time.monotonic(), memory, used.user + used.system))


def _memory(seen: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """The memory at the end, and how much it grew from the second quarter of the time to the last one."""
    quarter = max(1, len(seen) // 4)
    early = median(mib for _, mib, _ in seen[quarter : 2 * quarter] or seen)
    late = median(mib for _, mib, _ in seen[-quarter:])
    return {"mib": late, "growth": late / early - 1}


def _steady(table: Path) -> float:
    """Files a second between the first and the last chunk that were written, without start and end."""
    import pyarrow.parquet as pq

    parts = sorted((table / "table").glob("*/*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    if len(parts) < 2:
        return float("nan")
    took = (parts[-1].stat().st_mtime_ns - parts[0].stat().st_mtime_ns) / 1e9
    counts = [json.loads(pq.read_schema(path).metadata[b"digits"])["counts"]["files"] for path in parts[1:]]
    return float(sum(counts)) / max(took, 1e-9)


if __name__ == "__main__":
    sys.exit(main())
