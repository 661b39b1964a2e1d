"""Trains a profile, scores and times what is exported of it; or trains the line reader beside `fast`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import flops, latency, recipes, workspace
from bench.clocks import Clock, Ticks, probe_steps
from bench.scores import Predict, abstention, calibration, scores
from digits import dataset, files
from digits.dataset import Split
from digits.evaluate.corruptions import CORRUPTIONS, corrupt

NO_DIGITS = 20  # pictures of each kind without a digit: the gate reports on them and refuses nothing
KNOWN = 2000  # validation lines that score the line reader


def train_profile(job: dict[str, Any]) -> dict[str, Any]:
    """Train a profile, on full MNIST or on the sample, score it and return the figures of its record."""
    import tensorflow as tf

    from digits.model.candidate import scorer
    from digits.train.additions import pool_of
    from digits.train.fit import fit

    tf.config.experimental.enable_op_determinism()  # as the pipeline trains
    on_sample = job["kind"] == "sample"
    data = "sample" if on_sample else "full"
    train, validation = workspace.splits(job, data, "prepared", "train", "validation")
    (test,) = workspace.splits(job, "full", "prepared", "test")
    recipe = recipes.recipe(job, len(train))
    probed = [] if on_sample else probe_steps(recipe.steps)
    ticks, clock = Ticks(), Clock()
    clock.go()
    additions = pool_of(recipe, train)
    result = fit(train, validation, recipe, probe_steps=probed, clock=ticks, additions=additions)
    clock.stop()
    probing = ticks.probing(len(result.probes))
    predict = scorer(result.model)
    record = {
        "parameters": result.model.count_params(),
        "forward_flop": flops.forward(result.model),
        "flop": recipes.flop(recipe, result.history[-1].step),
        "steps": result.history[-1].step,
        "batch": recipe.batch,
        "n": len(train),
        "wall": clock.wall - probing[0],
        "cpu": clock.cpu - probing[1],
        "device": f"{recipe.device.upper()}, {recipe.precision}",
        "precision": recipe.precision,
        "validation_accuracy": result.validation_accuracy,
        "curve": [
            {"step": p.step, "seconds": p.seconds, "accuracy": p.validation_accuracy} for p in result.probes
        ],
        **scores(predict, test),
    }
    if on_sample:
        record |= {"n_validation": len(validation)}
        record |= _judged(job, predict, validation, result.train_accuracy)
        return record
    calibrated = calibration(predict, validation, test)
    unsure = abstention(predict, validation, test, calibrated["temperature"])
    served = latency.measure_export(result.model, calibrated["temperature"], quick=job["quick"])
    return record | calibrated | unsure | served


def _judged(
    job: dict[str, Any], predict: Predict, validation: Split, train_accuracy: float
) -> dict[str, Any]:
    """Return the verdict of the pipeline's gate on a model of the sample, on the sample's held-out images.

    The rules for the line reader, which no profile of the classifier changes, are left out.
    """
    from digits import non_digits
    from digits.evaluate import gate
    from digits.evaluate.scorecard import Answers, scorecard
    from digits.ink import has_ink
    from digits.runtime import params

    where = Path(job["scratch"]) / "sample"
    test, heldout = (dataset.load_split(where / "data" / "prepared" / name) for name in ("test", "heldout"))
    limits = params.load("evaluate", where / "params.yaml")

    def read(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Answers:
        return Answers.of(predict(images), labels, has_ink(images).numpy())

    known = [read(split.images, split.labels) for split in (validation, test, heldout)]
    corrupted = {name: read(corrupt(name, test.images, limits.seed), test.labels) for name in CORRUPTIONS}
    manifest = files.read_json(where / "data" / "prepared" / "manifest.json")
    facts = {"train_accuracy": train_accuracy}
    no_digits = {
        kind: read(images, np.zeros(len(images), np.uint8))
        for kind, images in non_digits.every(NO_DIGITS, limits.seed, test).items()
    }
    wanted = limits.answered_precision
    seen, clean, new = known
    card = scorecard(manifest, facts, seen, clean, new, heldout.batches, corrupted, no_digits, wanted)
    rules = [rule for rule in gate.decide(card.content, limits).rules if not rule.rule.startswith("lines_")]
    return {
        "n_heldout": len(test),
        "heldout_accuracy": clean.accuracy,
        "gate_accuracy": limits.accuracy,
        "gate_passed": all(rule.passed for rule in rules),
        "gate_reasons": "; ".join(rule.reason for rule in rules if not rule.passed),
    }


def train_pair(job: dict[str, Any]) -> dict[str, Any]:
    """Fit `fast` and the line reader's `quick` on one data set; return the seconds of both.

    job["model"]: the data set, full or sample. Both use deterministic operations, as the pipeline does.
    """
    import tensorflow as tf

    from digits.line_model.candidate import scorer
    from digits.line_model.lines import RealLines, first
    from digits.lines import compose, stage
    from digits.lines import fit as lines_fit
    from digits.lines.profiles import resolve
    from digits.lines.real import Mixture
    from digits.runtime.hardware import find_hardware
    from digits.runtime.params import LinesParams
    from digits.train.additions import pool_of
    from digits.train.fit import fit

    tf.config.experimental.enable_op_determinism()
    train, validation = workspace.splits(job, job["model"], "prepared", "train", "validation")
    classifier, reader = Clock(), Clock()
    recipe = recipes.recipe(job | {"model": "fast"}, len(train))
    classifier.go()
    fit(train, validation, recipe, additions=pool_of(recipe, train))
    classifier.stop()

    free = dict.fromkeys(LinesParams.model_fields) | {"device": "auto", "precision": "auto", "real": 0.0}
    params = LinesParams.model_validate(free | {"profile": "quick", "seed": job["seed"], "validation": KNOWN})
    line_recipe = resolve(params, len(train), 0, find_hardware(params))
    if job["quick"]:
        line_recipe = replace(line_recipe, steps=recipes.QUICK_STEPS)
    known = stage.validation_lines(validation, KNOWN, job["seed"])
    reader.go()
    composer = stage.composer_of(
        train, Mixture(RealLines.of([], [], []), 0.0, max(compose.WIDTHS)), line_recipe
    )
    model, _ = lines_fit.fit(composer, first(known, stage.SCORED), line_recipe)
    reader.stop()
    exact, _ = lines_fit.score(scorer(model), known)
    return {
        "n": len(train),
        "fast": {"wall": classifier.wall, "cpu": classifier.cpu, "steps": recipe.steps},
        "lines": {"wall": reader.wall, "cpu": reader.cpu, "steps": line_recipe.steps},
        "lines_exact": exact,
    }
