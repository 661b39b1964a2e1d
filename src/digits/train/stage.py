"""Stage `train`: trains the candidate, and writes weights, recipe, history and the learning curves.

    python -m digits.train.stage --train data/prepared/train --validation data/prepared/validation \
        --candidate models/candidate --live reports/training

Killed at any epoch, the same command goes on from there and ends with the same weights. On several hosts the
command runs on each, with TF_CONFIG in the environment; the first of them, the chief, writes what comes out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from digits import dataset, files
from digits.runtime.params import TrainParams
from digits.runtime.progress import bar, say
from digits.runtime.stage_main import stage_main
from digits.runtime.tf_import import load_tensorflow
from digits.train.history import table

if TYPE_CHECKING:
    from digits.model.recipe import Recipe
    from digits.train.fit import FitResult
    from digits.train.history import Epoch, Progress


def run(train: Path, validation: Path, candidate: Path, live: Path, params: TrainParams) -> None:
    """Train by the profile and its overrides. Equal data, params, CPU and thread count give equal weights."""
    load_tensorflow()  # here, not above: a typo in params.yaml is reported before seconds of loading
    import tensorflow as tf

    from digits.runtime.hardware import find_hardware
    from digits.train import checkpoint, devices, fit, history, profiles
    from digits.train.additions import pool_of

    hardware, together = devices.find_replicas(params, find_hardware(params))
    tf.config.experimental.enable_op_determinism()
    images, held = dataset.load_split(train, mmap=True), dataset.load_split(validation, mmap=True)
    recipe = profiles.resolve(params, len(images), hardware)
    devices.check_batch(recipe, together)
    say(recipe.headline(len(held)) + devices.describe(together))
    additions = pool_of(recipe, images)
    resumable = checkpoint.path_of(recipe, images, held, additions=additions)

    with devices.raise_if_host_lost(together):
        devices.check_alike(together, resumable.stem)
        resume = checkpoint.parse(together.from_chief(checkpoint.content(resumable)))
        if resume:
            step = resume.history[-1].step
            say(f"going on after epoch {len(resume.history)}, step {step} of {recipe.all_steps}")

        with (
            history.writer(live, together.is_chief) as log,
            bar("training", recipe.all_steps, "steps") as advance,
        ):
            done = 0

            def show(epoch: Epoch) -> None:
                nonlocal done
                log(epoch)
                advance(epoch.step - done, note=f"loss {epoch.loss:.3f}, validation {epoch.val_accuracy:.2%}")
                done = epoch.step

            def on_epoch(progress: Progress, epoch: Epoch) -> None:
                if together.is_chief:
                    checkpoint.save(resumable, progress)
                show(epoch)

            for epoch in resume.history if resume else ():
                show(epoch)
            read = dataset.reader(images.images, params.in_memory << 20)
            result = fit.fit(
                images,
                held,
                recipe,
                on_epoch=on_epoch,
                resume=resume,
                read=read,
                additions=additions,
                together=together,
            )

        if together.is_chief:
            _save(candidate, result, recipe)
            checkpoint.prune(resumable)
        together.over_hosts([0.0])  # a host that left before the chief has written would be missed by it
    gap = result.train_accuracy - result.validation_accuracy
    say(
        f"accuracy {result.validation_accuracy:.2%} on validation, {result.train_accuracy:.2%} on training "
        f"images: a gap of {gap:+.2%}"
    )


def _save(candidate: Path, result: FitResult, recipe: Recipe) -> None:
    from digits.model.candidate import save_candidate

    with files.replacing(candidate) as new:
        new.mkdir()
        save_candidate(new, result.model, recipe)
        files.write_text(new / "history.csv", table(result.history))
        files.write_json(new / "summary.json", result.summary(recipe))


if __name__ == "__main__":
    stage_main("train", run)
