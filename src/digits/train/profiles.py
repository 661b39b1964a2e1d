"""Profiles: named settings of a training, and the recipe that one of them gives.

Budgets are in steps, since a budget in epochs does not carry over to other amounts of data: 7 epochs are
1,500 steps of MNIST and 100 of its 4,000-image sample. Up to SMALL images a profile's settings for few images
apply, where it has any; the recipe says whether they did. How images are bent and damaged is the profile's
policy, in `digits.augment.policies`.

S0 to S4 are models of common tutorials, as these train them: see `TUTORIAL`, whose budgets are in epochs as
the tutorials have them. The others are this project's.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from digits.augment.policies import SMALL, augmentation
from digits.model.recipe import Recipe, rows_of
from digits.runtime.errors import ParamsError
from digits.runtime.hardware import Hardware
from digits.runtime.params import TrainParams

Settings = dict[str, Any]  # of a Recipe, but for its augmentation, which is by `policies`

OUTLIER_POOL = 7000  # pictures without a digit, a thousand of each kind: drawn in 3 CPU-s

# Keras's defaults; adam at 0.001 without a schedule; pixels divided by 255; the last weights are kept. As in
# every profile a part of the training images is held back for validation, and batches are stratified.
TUTORIAL: Settings = {
    "architecture": "cnn-32-64-64",
    "normalization": "scaled",
    "optimizer": "adam",
    "rate": 0.001,
    "beta_2": 0.999,
    "schedule": "constant",
    "warmup": 0.0,
    "batch": 32,
    "epochs": 5,  # in place of steps
    "label_smoothing": 0.0,
    "l1": 0.0,
    "l2": 0.0,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "sparsity": 0.0,
    "ema": 0.0,
    "early_stopping": 0,
    "validation_every": 1,
    "outliers": 0.0,
    "outlier_pool": OUTLIER_POOL,
    "styled": 0.0,
    "distillation": 0.0,
    "teacher": "none",
}
SPEEDRUN: Settings = {
    "architecture": "compact",
    "normalization": "canonical",
    "optimizer": "muon",
    "rate": 0.015,
    "beta_2": 0.99,  # rather than 0.999: runs are short
    "schedule": "cosine",
    "warmup": 0.1,
    "batch": 256,
    "steps": 1350,
    "label_smoothing": 0.1,
    "l1": 0.0,
    "l2": 0.0,
    "weight_decay": 0.02,
    "dropout": 0.0,
    "sparsity": 0.0,
    "ema": 0.98,
    "early_stopping": 0,
    "validation_every": 3,
    "outliers": 0.0,
    "outlier_pool": OUTLIER_POOL,
    "styled": 0.0,
    "distillation": 0.0,
    "teacher": "none",
}
FAST: Settings = {
    "steps": 1800,
    "validation_every": 1,
    "outliers": 0.05,
    "styled": 0.04,
}
ROBUST: Settings = FAST | {
    "steps": 4000,
}
STANDARD: Settings = {
    "architecture": "strided",
    "steps": 2500,
    "validation_every": 2,
    "ema": 0.99,
    "outliers": 0.02,
    "styled": 0.02,
}
FULL: Settings = STANDARD | {"architecture": "deep+strided+deep", "steps": 5000, "dropout": 0.3}
# Few weights learn slowly.
TINY: Settings = {
    "architecture": "small",
    "steps": 6000,
    "ema": 0.99,
}
FEW_IMAGES: Settings = {
    "rate": 0.01,
    "batch": 128,
    "steps": 4000,
    "weight_decay": 0.05,
    "dropout": 0.3,
    "ema": 0.99,
    "validation_every": 10,
}


def over(settings: Settings, change: Settings) -> Settings:
    """The settings with those of `change` put in; steps and epochs replace each other."""
    if "steps" in change:
        settings = {k: v for k, v in settings.items() if k != "epochs"}
    return settings | change


# name → what it sets, and what few images change in that
PROFILES: dict[str, tuple[Settings, Settings]] = {
    "speedrun": (SPEEDRUN, FEW_IMAGES),
    "fast": (over(SPEEDRUN, FAST), FEW_IMAGES),
    "standard": (over(SPEEDRUN, STANDARD), FEW_IMAGES),
    "full": (over(SPEEDRUN, FULL), FEW_IMAGES),
    "robust": (over(SPEEDRUN, ROBUST), FEW_IMAGES),
    "tiny": (over(SPEEDRUN, TINY), FEW_IMAGES | {"dropout": 0.0}),
    "S0": (over(TUTORIAL, {"architecture": "mlp-128"}), {}),
    "S1": (over(TUTORIAL, {"batch": 64}), {}),
    "S2": (over(TUTORIAL, {"architecture": "cnn-32", "epochs": 10}), {}),
    "S3": (over(TUTORIAL, {"architecture": "mlp-128-32", "epochs": 25}), {}),
    "S4": (TUTORIAL, {}),
    "S4-dropout": (over(TUTORIAL, {"dropout": 0.2}), {}),
    "S4-l2": (over(TUTORIAL, {"l2": 1e-4}), {}),
    "S4-augmented": (TUTORIAL, {}),  # by its policy
    "S4-early-stopping": (over(TUTORIAL, {"epochs": 30, "early_stopping": 3}), {}),
}


DECAYING = ("adamw", "muon")


def resolve(params: TrainParams, n: int, hardware: Hardware) -> Recipe:
    """The recipe for `n` training images. Raises ParamsError where keys contradict each other."""
    given = params.model_dump(exclude=_NOT_OF_THE_RECIPE, exclude_none=True)
    return _recipe(params.profile, given, n, hardware)


_NOT_OF_THE_RECIPE = {"profile", "device", "distribution", "precision", "xla", "in_memory"}


def _recipe(profile: str, given: Settings, n: int, hardware: Hardware) -> Recipe:
    bent = augmentation(profile, n, given.pop("augmentation", {}))
    settings, few = PROFILES[profile]
    small = n <= SMALL and bool(few)
    if small:
        settings = over(settings, few)
    if settings["optimizer"] != given.get("optimizer", settings["optimizer"]):
        settings = settings | {"weight_decay": 0.0}  # the preset's belongs to its optimizer
    settings = over(settings, given)
    if settings["weight_decay"] and settings["optimizer"] not in DECAYING:
        raise ParamsError(
            f"train.weight_decay is {settings['weight_decay']} with the optimizer {settings['optimizer']}, "
            "which has none: take adamw or muon, or train.l2"
        )
    if settings["sparsity"] and settings["early_stopping"]:
        raise ParamsError(
            f"train.sparsity is {settings['sparsity']} with train.early_stopping, which may keep weights "
            "from before that share of them is zero: set one of the two to 0"
        )
    settings["batch"] = min(settings["batch"], n)
    epochs = settings.pop("epochs", None)
    added = rows_of(settings["outliers"], settings["batch"]) + rows_of(settings["styled"], settings["batch"])
    digits = settings["batch"] - added
    if digits < 1:
        raise ParamsError(
            f"train.outliers is {settings['outliers']:g} and train.styled {settings['styled']:g} of batches "
            f"of {settings['batch']}, which leaves no room for a digit of the data set: take a larger "
            "train.batch, or less of these"
        )
    if epochs:
        settings["steps"] = epochs * max(1, n // digits)
    teacher = _teacher(settings, given["seed"], n, hardware)
    return Recipe(
        profile=profile,
        n_train=n,
        small_data=small,
        **asdict(hardware),
        **settings | {"augmentation": asdict(bent), "teacher": teacher},
    )


def _teacher(settings: Settings, seed: int, n: int, hardware: Hardware) -> Recipe | None:
    """The recipe of the teacher that the settings name. Raises ParamsError when it can't be one."""
    name, share = settings["teacher"], settings["distillation"]
    if (name != "none") != (share > 0):
        raise ParamsError(
            f"train.teacher is {name} and train.distillation {share:g}: a teacher needs a share above 0, and "
            "the other way round"
        )
    if name == "none":
        return None
    teacher = _recipe(name, {"seed": seed}, n, hardware)
    if teacher.teacher:
        raise ParamsError(f"train.teacher is {name}, which has a teacher itself: take another profile")
    if teacher.normalization != settings["normalization"]:
        raise ParamsError(
            f"train.teacher is {name}, whose normalization is {teacher.normalization}, and its pupil's "
            f"{settings['normalization']}: they must be alike"
        )
    return teacher
