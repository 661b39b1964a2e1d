"""Measures how much sooner a sweep of small trials ends on two workers than on one.

Trials of one thread each, four ways: a plain loop without Prefect and Dask; two such loops side by side, half
of the trials each, which is the most that the machine can gain; the command `digits sweep` with one worker;
with two. Wall time from the start of the processes to their end; Prefect's database is created before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.records import ROOT, Record
from digits import dataset
from digits.dataset import Split, split_stratified
from digits.ingest import mnist
from digits.runtime.processes import die_with_parent
from flows.scheduling import server

RATES = [0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009]
WAYS = ("1 worker", "2 workers", "a loop", "two loops")
STEPS = 200  # of a trial, 64 images each
LOOP = """
import json, sys
from pathlib import Path
from digits import dataset
from digits.pipeline import training
from flows import sweep
from flows.search import space

def main():
    root = Path.cwd()
    data = dataset.load_split(root / sweep.TRAIN), dataset.load_split(root / sweep.VALIDATION)
    base = sweep.train_section(root)
    for rate in json.loads(sys.argv[1]):
        result = training.train(*data, space.section(base, {"train.rate": rate}))
        print(f"{rate}: {result.accuracy:.2%} in {result.seconds:.1f} s")

main()
"""


def measure(rounds: int) -> list[Record]:
    """Return a record for each way in each round: about a minute each."""
    records: list[Record] = []
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as scratch:
        root = Path(scratch) / "project"
        _project(root, STEPS)
        server.ensure(root, server.free_port()).stop()  # makes the database
        for place in range(rounds):
            for way in WAYS:
                seconds = _timed(root, way, place)
                print(f"{way}: {seconds:.1f} s", file=sys.stderr, flush=True)
                work = {"kind": "orchestration", "work": "a sweep of 8 small trials", "way": way}
                records.append(work | {"round": place, "seconds": seconds})
    return records


def _project(root: Path, steps: int) -> None:
    """Make a folder with 1,000 images to train on and 500 to be scored on, and trials of so many steps."""
    rest, _ = mnist.load_sample(500, 1)
    kept, held = split_stratified(rest.labels, 500 / len(rest), 1)
    for name, rows in (("train", kept[:: len(kept) // 1000][:1000]), ("validation", held)):
        part: Split = rest.take(rows)
        dataset.save_split(root / "data" / "prepared" / name, part)
    tree: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tree["train"] |= {"steps": steps, "batch": 64, "validation_every": 1, "device": "cpu"}
    (root / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")


def _timed(root: Path, way: str, place: int) -> float:
    """Return the wall seconds of the trials, done one way."""
    parts = [RATES] if way == "a loop" else [RATES[::2], RATES[1::2]]
    commands = [[sys.executable, "-c", LOOP, json.dumps(part)] for part in parts]
    if "worker" in way:
        options = ["--space", f"train.rate={json.dumps(RATES)}", "--name", f"round-{place}-{way[0]}"]
        options += ["--workers", way[0], "--no-prune"]
        commands = [[sys.executable, "-m", "digits_cli", "sweep", "--sampler", "grid", *options]]
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
