"""A profile's name, the keys that override it, and the number of images → a recipe with every value concrete.

Budgets are in steps, since a budget in epochs does not carry over to other amounts of data: 7 epochs are
1,500 steps of MNIST and 100 of its 4,000-image sample. Up to SMALL images the preset's small-data settings
apply; the recipe says whether they did.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from digits.errors import ParamsError
from digits.params import TrainParams
from digits.recipe import Augmentation, Recipe

SMALL = 10_000  # training images


@dataclass(frozen=True)
class Hardware:
    """What a training runs on, and the settings that suit it."""

    device: str  # cpu | gpu
    precision: str  # float32 | bfloat16 | float16
    xla: str  # nothing | augmentation | everything


Settings = dict[str, Any]  # of a Recipe; `augmentation` is nested

SPEEDRUN: Settings = {
    "architecture": "compact",
    "optimizer": "adamw",
    "rate": 0.008,
    "schedule": "cosine",
    "warmup": 0.1,
    "batch": 256,
    "steps": 1200,
    "label_smoothing": 0.1,
    "l1": 0.0,
    "l2": 0.0,
    "weight_decay": 0.02,
    "dropout": 0.0,
    "ema": 0.98,
    "early_stopping": 0,
    "validation_every": 3,
    "augmentation": {
        "rotation": 10.0,
        "scale": 0.1,
        "shear": 0.1,
        "shift": 1.5,
        "elastic": 0.6,
        "damaged": 0.4,
        "severe": 0.0,
        "wide": 0.0,
        "wide_by": 2.5,
    },
}
ROBUST: Settings = {"steps": 1700, "validation_every": 1, "augmentation": {"wide": 0.15}}
FEW_IMAGES: Settings = {
    "rate": 0.003,
    "batch": 128,
    "steps": 4000,
    "weight_decay": 0.05,
    "dropout": 0.3,
    "ema": 0.99,
    "validation_every": 10,
    "augmentation": {"rotation": 15.0, "scale": 0.15, "shear": 0.2, "shift": 2.5, "elastic": 1.2},
}


def _over(settings: Settings, change: Settings) -> Settings:
    """The settings with those of `change` put in, one level deep."""
    nested = {k: settings[k] | v for k, v in change.items() if isinstance(v, dict)}
    return settings | change | nested


# name → what it sets, and what few images change in that
PROFILES: dict[str, tuple[Settings, Settings]] = {
    "speedrun": (SPEEDRUN, FEW_IMAGES),
    "fast": (_over(SPEEDRUN, ROBUST), FEW_IMAGES),
}


def resolve(params: TrainParams, n: int, hardware: Hardware) -> Recipe:
    """The recipe for `n` training images. Raises ParamsError where keys contradict each other."""
    settings, few = PROFILES[params.profile]
    small = n <= SMALL
    if small:
        settings = _over(settings, few)
    given = params.model_dump(exclude={"profile", "device", "precision", "xla"}, exclude_none=True)
    if settings["optimizer"] != given.get("optimizer", settings["optimizer"]):
        settings = settings | {"weight_decay": 0.0}  # the preset's belongs to its optimizer
    settings = _over(settings, given)
    if settings["weight_decay"] and settings["optimizer"] != "adamw":
        raise ParamsError(
            f"train.weight_decay is {settings['weight_decay']} with the optimizer {settings['optimizer']}, "
            "which has none: take adamw, or train.l2"
        )
    hit = settings["augmentation"]
    if hit["damaged"] + hit["severe"] > 1:
        raise ParamsError(
            f"train.augmentation: damaged {hit['damaged']} and severe {hit['severe']} hit different images, "
            "so together they can't be more than 1: lower one of them"
        )
    settings["batch"] = min(settings["batch"], n)
    return Recipe(
        profile=params.profile,
        n_train=n,
        small_data=small,
        **asdict(hardware),
        **settings | {"augmentation": Augmentation(**settings["augmentation"])},
    )
