"""Recipes for tiny trainings, and images for them."""

from dataclasses import asdict, replace

import numpy as np

from digits.augment.policies import NONE, Augmentation
from digits.model.recipe import Recipe
from digits.train.additions import Pool

STILL = Augmentation(**NONE)
BENT = replace(
    STILL, rotation=10.0, scale=0.1, shear=0.1, shift=1.5, elastic=0.6, damaged=0.4, wide=0.2, wide_by=2.0
)


def outliers(pictures: np.ndarray) -> Pool:
    """A pool of pictures without a digit, and no drawn ones."""
    return Pool(pictures, pictures[:0], np.empty(0, np.uint8))


def tiny(**changes) -> Recipe:
    """Return a recipe of a few seconds on the CPU in float32; XLA, which takes seconds to compile, is off."""
    values = {
        "profile": "fast", "seed": 1, "n_train": 320, "small_data": True, "architecture": "compact",
        "normalization": "canonical", "optimizer": "adamw", "rate": 0.005, "beta_2": 0.99,
        "schedule": "cosine", "warmup": 0.2, "batch": 64, "steps": 15, "label_smoothing": 0.1, "l1": 0.0,
        "l2": 0.0, "weight_decay": 0.02, "dropout": 0.2, "sparsity": 0.0, "ema": 0.9, "early_stopping": 0,
        "validation_every": 1, "outliers": 0.0, "outlier_pool": 70, "styled": 0.0, "distillation": 0.0,
        "teacher": None, "device": "cpu", "precision": "float32", "xla": "nothing",
        "augmentation": asdict(changes.pop("augmentation", BENT)),
    }  # fmt: skip
    return Recipe(**values | changes)
