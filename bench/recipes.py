"""A profile as it stands → its recipe, and the operations that training by it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench import flops
from digits.params import AugmentationParams, TrainParams
from digits.recipe import Recipe

QUICK_STEPS = 20  # of a trial of the bench itself


def recipe(job: dict[str, Any], n_train: int) -> Recipe:
    """The profile as it stands: what params.yaml overrides in it is left aside."""
    from digits import device, profiles

    params = params_of(job["model"], job["seed"])
    found = profiles.resolve(params, n_train, device.find(params))
    return replace(found, steps=QUICK_STEPS) if job["quick"] else found


def params_of(model: str, seed: int) -> TrainParams:
    """The section `train` that chooses a profile and overrides nothing in it."""
    free = dict.fromkeys(TrainParams.model_fields)
    auto = dict.fromkeys(("device", "precision", "xla"), "auto")
    bent = {"augmentation": dict.fromkeys(AugmentationParams.model_fields)}
    chosen = {"profile": model, "seed": seed}
    return TrainParams.model_validate(free | auto | bent | chosen)


def flop(recipe: Recipe, steps: int) -> float:
    """Operations of the training steps that were taken, of all that the recipe plans."""
    planned = getattr(recipe, "all_steps", recipe.steps)  # of all its networks, where it has several
    return planned_flop(recipe) * steps / planned


def planned_flop(recipe: Recipe) -> int:
    """Operations of a recipe's training steps; those of a teacher, and of asking it, included."""
    from digits import models

    images = recipe.batch * recipe.steps
    total = flops.training(flops.forward(models.build(recipe.architecture)), images)
    teacher: Recipe | None = getattr(recipe, "teacher", None)
    if teacher:
        total += planned_flop(teacher) + images * flops.forward(models.build(teacher.architecture))
    return total
