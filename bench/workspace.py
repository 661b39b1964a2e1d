"""Folders in which the pipeline's own data stages have run, and the images in them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from digits import dataset
from digits.dataset import Split
from digits.runtime.errors import DataError

DATA_STAGES = ("ingest", "validate", "preprocess")
QUICK_TRAIN, QUICK_TEST = 1000, 300  # images, of a trial of the bench itself


def prepare(root: Path, where: Path, *, sample: bool) -> Path:
    """Run the data stages of the project at `root` in the folder `where`, for its data/prepared.

    sample: use the data set of a machine without a source, else insist on the full one. Incoming batches are
    left out. Raises DataError with the last line of the stage that failed.
    """
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"]["allow_sample"] = sample
    if sample:
        params["ingest"]["sources"] = []
    (where / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (where / "data" / "incoming").mkdir(parents=True)
    for stage in DATA_STAGES:
        _bring_inputs(root, where, stages[stage])
        _run(root, where, stage, stages[stage]["cmd"], sample)
    return where


def splits(job: dict[str, Any], data: str, folder: str, *names: str) -> list[Split]:
    """Return splits of a data set (full or sample), raw or prepared; a few rows of each in a trial."""
    where = Path(job["scratch"]) / data / "data" / folder
    limits = {"train": QUICK_TRAIN} if job["quick"] else {}
    default = QUICK_TEST if job["quick"] else sys.maxsize
    return [_first(dataset.load_split(where / name), limits.get(name, default)) for name in names]


def _first(split: Split, n: int) -> Split:
    return Split(split.images[:n], split.labels[:n], split.batches[:n])


def _bring_inputs(root: Path, where: Path, stage: dict[str, Any]) -> None:
    """Copy the data files that the project ships and the stage reads."""
    for dep in stage["deps"]:
        if dep.startswith("data/") and (root / dep).is_file() and not (where / dep).exists():
            (where / dep).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / dep, where / dep)


def _run(root: Path, where: Path, stage: str, command: str, sample: bool) -> None:
    words = shlex.split(command)
    if words[0] != "python":
        raise DataError(f"dvc.yaml: the command of {stage} is '{command}', expected `python -m …`")
    environment = {k: v for k, v in os.environ.items() if not (sample and k == "DIGITS_MIRROR")}
    environment["PYTHONPATH"] = str(root / "src")
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise DataError(f"the data are not to be had: {last}")
