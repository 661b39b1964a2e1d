"""How much sooner a sweep of small trials ends on two workers than one after another.

    python -m bench.sweep                      8 trials, four ways: about 4 minutes on two cores
    python -m bench.sweep --rounds 3

Trials of one thread each, four ways: a plain loop without Prefect and Dask; two such loops side by side, half
of the trials each, which is what the machine can gain at most; the command `digits sweep` with one worker;
with two. Wall time from the start of the processes to their end; Prefect's database is made before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.machine import machine
from digits import dataset, files, sample
from digits.dataset import Split, stratified
from digits.processes import die_with_parent
from flows.scheduling import server

ROOT = Path(__file__).resolve().parents[1]
RATES = [0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009]
TARGET = 1.6  # times as fast as one worker
WAYS = ("a loop", "two loops", "1 worker", "2 workers")
LOOP = """
import json, sys
from pathlib import Path
from digits import files
from digits import training
from flows import sweep
from flows.search import sweep_space

def main():
    root = Path.cwd()
    data = dataset.load_split(root / sweep.TRAIN), dataset.load_split(root / sweep.VALIDATION)
    base = sweep.train_section(root)
    for rate in json.loads(sys.argv[1]):
        found = training.train(*data, sweep_space.section(base, {"train.rate": rate}))
        print(f"{rate}: {found.accuracy:.2%} in {found.seconds:.1f} s")

main()
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 when the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="of a trial, 64 images each; default: 200")
    parser.add_argument("--rounds", type=int, default=1, help="of the three ways, in turn; default: 1")
    parser.add_argument("--out", type=Path, help="raw figures as JSON")
    given = parser.parse_args(argv)
    walls = measured(given.rounds, given.steps)
    if given.out:
        files.write_json(given.out, {"machine": machine(), "steps": given.steps, "walls": walls})
    print("\n" + table(walls))
    return 0 if times(walls) >= TARGET else 1


def measured(rounds: int, steps: int = 200) -> dict[str, list[float]]:
    """Way → wall seconds of each round."""
    walls: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as scratch:
        root = Path(scratch) / "project"
        _project(root, steps)
        server.ensure(root, server.free_port()).stop()  # makes the database
        for place in range(rounds):
            for way in WAYS:
                walls[way].append(_timed(root, way, place))
                print(f"{way}: {walls[way][-1]:.1f} s", file=sys.stderr, flush=True)
    return walls


def times(walls: dict[str, list[float]]) -> float:
    """How many times as fast two workers are as one, by the medians."""
    return statistics.median(walls["1 worker"]) / statistics.median(walls["2 workers"])


def table(walls: dict[str, list[float]]) -> str:
    """The figures as Markdown."""
    lines = ["| 8 trials | seconds | against 1 worker |", "| --- | --- | --- |"]
    one = statistics.median(walls["1 worker"])
    for way, each in walls.items():
        middle = statistics.median(each)
        lines.append(f"| {way} | {middle:.1f} | {one / middle:.2f} × |")
    met = "met" if times(walls) >= TARGET else "**not met**"
    most = statistics.median(walls["a loop"]) / statistics.median(walls["two loops"])
    told = f"Target: two workers {TARGET} × as fast as one; {times(walls):.2f} × here, {met}. "
    return "\n".join([*lines, "", told + f"Two plain loops side by side gain {most:.2f} × on this machine."])


def _project(root: Path, steps: int) -> None:
    """A folder with 1,000 images to train on and 500 to be scored on, and trials of so many steps."""
    rest, _ = sample.load(500, 1)
    kept, held = stratified(rest.labels, 500 / len(rest), 1)
    for name, rows in (("train", kept[:: len(kept) // 1000][:1000]), ("validation", held)):
        part: Split = rest.take(rows)
        dataset.save_split(root / "data" / "prepared" / name, part)
    tree: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["train"] |= {"steps": steps, "batch": 64, "validation_every": 1, "device": "cpu"}
    (root / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")


def _timed(root: Path, way: str, place: int) -> float:
    """Wall seconds of the trials, one way."""
    parts = [RATES] if way == "a loop" else [RATES[::2], RATES[1::2]]
    commands = [[sys.executable, "-c", LOOP, json.dumps(part)] for part in parts]
    if "worker" in way:
        asked = ["--space", f"train.rate={json.dumps(RATES)}", "--name", f"round-{place}-{way[0]}"]
        asked += ["--workers", way[0], "--no-prune"]
        commands = [[sys.executable, "-m", "digits.cli", "sweep", "--sampler", "grid", *asked]]
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT, os.environ.get("PYTHONPATH", ""))))
    one = {name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")}
    given = os.environ | one | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2"}
    started = time.perf_counter()
    with (root / "log.txt").open("wb") as log:
        running = [
            subprocess.Popen(command, cwd=root, env=given, stdout=log, stderr=log, preexec_fn=die_with_parent)
            for command in commands
        ]
        if any([child.wait() for child in running]):
            raise SystemExit(f"{way} failed: {(root / 'log.txt').read_text()[-1000:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
