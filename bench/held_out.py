"""Tries settings: trains on three quarters of MNIST's training images, scores on the rest of them.

    python -m bench.held_out "deeper, muon" --profile standard -S architecture=deep -S steps=2000 --seeds 1,2

Needs data/prepared. A row a training is added to docs/held-out.csv: what the log's choices stand on. The
5,001 validation images are among those scored, so that less is chance; test images are never opened.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from digits import dataset, files
from digits.dataset import Split, concatenate
from digits.progress import say

RECORD = Path("docs/held-out.csv")
HELD_OUT = 10_000  # of data/prepared/train, beside the validation images
CORRUPTED = 1000  # held-out images under each corruption
SEED = 5  # of which images are held out: the same for every trial


def divided(train: Split, validation: Split, held_out: int | None = None) -> tuple[Split, Split]:
    """The images to train on, and those to score on. Which ones they are never changes."""
    held_out = HELD_OUT if held_out is None else held_out
    rows = np.random.default_rng(SEED).permutation(len(train))
    kept, held = np.sort(rows[held_out:]), np.sort(rows[:held_out])
    return train.take(kept), concatenate([validation, train.take(held)])


def section(profile: str, seed: int, settings: list[str]) -> dict[str, Any]:
    """The train section of params.yaml: key=value texts over a profile's nulls."""
    plain: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
    made: dict[str, Any] = plain | {"profile": profile, "seed": seed}
    for text in settings:
        key, _, value = text.partition("=")
        *outer, last = key.split(".")
        target = made
        for name in outer:
            target = target[name]
        target[last] = yaml.safe_load(value)
    return made


def trained(name: str, profile: str, seed: int, settings: list[str], corrupted: int) -> dict[str, Any]:
    """One training's row."""
    from bench import machine
    from bench.scores import accuracy, suites
    from digits import device, fit, params, profiles
    from digits.outliers import outlier_pool
    from digits.scoring import scorer

    given: Any = params.parse("train", section(profile, seed, settings))
    prepared = Path("data/prepared")
    train, held = divided(dataset.load_split(prepared / "train"), dataset.load_split(prepared / "validation"))
    recipe = profiles.resolve(given, len(train), device.find(given))
    wall, cpu = time.perf_counter(), time.process_time()
    result = fit.fit(train, held, recipe, outliers=outlier_pool(recipe, train))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    commit, changed = machine.commit(Path())
    row = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit + "+" * changed,  # +: with changes that are not committed
        "trial": name,
        "profile": profile,
        "settings": " ".join(settings),
        "seed": seed,
        "weights": result.model.count_params(),
        "held_out": f"{100 * result.validation_accuracy:.3f}",
        "loss": f"{result.validation_loss:.4f}",
        "cpu_s": f"{cpu:.0f}",
        "wall_s": f"{wall:.0f}",
    }
    predict, images, labels = scorer(result.model), held.images[:corrupted], held.labels[:corrupted]
    for suite, names, corrupt in suites():
        right = [100 * accuracy(predict, corrupt(each, images, 1), labels) for each in names if corrupted]
        row |= {suite: f"{np.mean(right):.2f}", f"{suite}_worst": f"{min(right):.1f}"} if right else {}
    return row


def added(text: str, row: dict[str, Any]) -> str:
    """The record with one more row; columns that are new to it come last."""
    rows = [*csv.DictReader(io.StringIO(text)), row]
    out = io.StringIO()
    table = csv.DictWriter(
        out, list(dict.fromkeys(key for each in rows for key in each)), lineterminator="\n"
    )
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def main() -> None:
    """Train and score each seed, and keep the rows."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.held_out", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("trial", help="its name in the record")
    parser.add_argument("--profile", default="speedrun")
    parser.add_argument("-S", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--seeds", default="1")
    parser.add_argument(
        "--corrupted", type=int, default=CORRUPTED, help="images a corruption; 0: clean ones only"
    )
    given = parser.parse_args()
    from digits.quiet import load_tensorflow

    load_tensorflow()
    for seed in map(int, given.seeds.split(",")):
        row = trained(given.trial, given.profile, seed, given.settings, given.corrupted)
        before = RECORD.read_text(encoding="utf-8") if RECORD.exists() else ""
        files.write_text(RECORD, added(before, row))
        say(", ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
