"""Times the training of the line reader beside that of the classifier `fast`, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench import recipes, workspace
from bench.clocks import Clock

KNOWN = 2000  # validation lines that score the line reader afterwards


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
