"""The recipe of a profile without overrides, and the operations that training by it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench import flops
from digits.model.recipe import Recipe
from digits.runtime.params import AugmentationParams, TrainParams

IN_MEMORY = 2048  # MiB; MNIST has 41
QUICK_STEPS = 20  # of a trial of the bench itself


def recipe(job: dict[str, Any], n_train: int) -> Recipe:
    """Return the recipe of the profile, ignoring the overrides in params.yaml."""
    from digits.runtime.hardware import find_hardware
    from digits.train import profiles

    params = params_of(job["model"], job["seed"])
    whole = profiles.resolve(params, n_train, find_hardware(params))
    return quick(whole) if job["quick"] else whole


def quick(recipe: Recipe) -> Recipe:
    """Shorten a recipe to a few steps, its teacher's too."""
    return replace(recipe, steps=QUICK_STEPS, teacher=recipe.teacher and quick(recipe.teacher))


def params_of(model: str, seed: int) -> TrainParams:
    """Return a `train` section that chooses a profile and overrides nothing in it."""
    free = dict.fromkeys(TrainParams.model_fields)
    auto = dict.fromkeys(("device", "precision", "xla"), "auto") | {"distribution": "none"}
    bent = {"augmentation": dict.fromkeys(AugmentationParams.model_fields)}
    chosen = {"profile": model.removesuffix("-plain"), "seed": seed}
    return TrainParams.model_validate(free | auto | bent | chosen | {"in_memory": IN_MEMORY})


def flop(recipe: Recipe, steps: int) -> float:
    """Return the operations of the training steps that were taken, of all that the recipe plans."""
    return planned_flop(recipe) * steps / recipe.all_steps


def planned_flop(recipe: Recipe) -> int:
    """Return the operations of a recipe's training steps, the teacher's training and predictions included."""
    from digits.model import architectures

    images = recipe.batch * recipe.steps
    total = flops.training(flops.forward(architectures.build(recipe.architecture)), images)
    if recipe.teacher:
        teaching = images * flops.forward(architectures.build(recipe.teacher.architecture))
        total += planned_flop(recipe.teacher) + teaching
    return total
