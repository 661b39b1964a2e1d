"""Checkpoints: a training can be killed after any epoch and goes on from there.

A checkpoint lies in `.checkpoints/<digest>.npz`, outside DVC's outs, since DVC deletes those before a stage
runs. The digest is of the data, the recipe, the libraries and the code that the stage depends on in dvc.yaml:
what was begun under other ones is never gone on with.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import dataset, files
from digits.dataset import Split
from digits.model.recipe import Recipe
from digits.runtime.stage_code import code_sha256
from digits.train.additions import Pool
from digits.train.history import Epoch, Progress, State

FOLDER = Path(".checkpoints")
OTHERS = 2  # checkpoints of other trainings that are kept, the newest ones


def path_of(recipe: Recipe, *splits: Split, additions: Pool | None = None) -> Path:
    """Where the checkpoint of this training lies, whether it exists or not."""
    parts = [files.to_json(recipe.to_dict()), tf.__version__, keras.__version__]
    parts += [dataset.array_sha256(array) for split in splits for array in (split.images, split.labels)]
    parts += [dataset.array_sha256(array) for array in (additions.arrays() if additions else [])]
    parts += [code_sha256("train")]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return FOLDER / f"{digest[:20]}.npz"


def save(path: Path, progress: Progress) -> None:
    """Write a checkpoint of a training that has begun, whole."""
    assert progress.state is not None
    arrays = {f"state/{name}": array for name, array in progress.state.arrays.items()}
    for place, vectors in enumerate(progress.finished):
        arrays |= {f"finished/{place}/{name}": array for name, array in vectors.items()}
    about = {
        "step": progress.state.step,
        "waited": progress.waited,
        "epochs": progress.epochs,
        "finished": len(progress.finished),
        "history": [asdict(epoch) for epoch in progress.history],
    }
    if progress.best:
        arrays |= {f"best/{name}": array for name, array in progress.best.arrays.items()}
        about["best_step"] = progress.best.step
    with files.replacing(path) as new, new.open("wb") as stream:
        np.savez(stream, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def load(path: Path) -> Progress | None:
    """Read a checkpoint; None when there is none, or none that can be read."""
    return parse(content(path))


def content(path: Path) -> bytes:
    """A checkpoint's bytes, none when there is no checkpoint: what a chief sends to other hosts."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def parse(data: bytes) -> Progress | None:
    """A checkpoint from its bytes; None when they are none that can be read."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(str(arrays.pop("about")))
        history = tuple(Epoch(**epoch) for epoch in about["history"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None

    def part(kind: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(f"{kind}/"): a for name, a in arrays.items() if name.startswith(f"{kind}/")}

    return Progress(
        state=State(about["step"], part("state")),
        history=history,
        best=State(about["best_step"], part("best")) if "best_step" in about else None,
        waited=about["waited"],
        epochs=about["epochs"],
        finished=tuple(part(f"finished/{place}") for place in range(about["finished"])),
    )


def prune(path: Path) -> None:
    """Remove a finished training's checkpoint, and all but the newest of others."""
    path.unlink(missing_ok=True)
    others = sorted(path.parent.glob("*.npz"), key=lambda other: other.stat().st_mtime, reverse=True)
    for old in others[OTHERS:]:
        old.unlink(missing_ok=True)
