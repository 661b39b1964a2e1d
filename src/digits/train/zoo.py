"""Profiles: a name → the settings of a recipe, and what few images change in them. Plain values.

S0 to S4 are models of common tutorials, as these train them: see `TUTORIAL`. The others are this project's.
"""

from __future__ import annotations

from typing import Any

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
    "distillation": 0.0,
    "teacher": "none",
}
FAST: Settings = {
    "steps": 1800,
    "validation_every": 1,
    "outliers": 0.05,
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
