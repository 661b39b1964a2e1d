"""A training recipe: every value concrete, nothing left to choose. recipe.json beside the model holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from digits.errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """How far training images are bent and damaged; each is drawn anew for every image of every step."""

    rotation: float  # degrees either way
    scale: float  # share larger or smaller, each axis on its own
    shear: float  # columns per row, either way
    shift: float  # pixels either way
    elastic: float  # pixels, standard deviation of a smooth random displacement
    damaged: float  # share of each batch that also gets one photometric damage
    severe: float  # share of each batch, other images, that also gets a severe one
    wide: float  # share of each batch that is bent `wide_by` times as far
    wide_by: float


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a fit does, beside the data."""

    profile: str
    seed: int
    n_train: int
    small_data: bool  # the preset's small-data settings apply
    architecture: str
    optimizer: str
    rate: float  # highest learning rate
    schedule: str
    warmup: float  # share of the steps
    batch: int
    steps: int
    label_smoothing: float
    l1: float
    l2: float
    weight_decay: float
    dropout: float
    ema: float  # decay of the averaged weights a step; 0 keeps the last weights
    early_stopping: int  # epochs without a better validation loss; 0 never stops early
    validation_every: int  # epochs
    device: str  # cpu | gpu
    precision: str  # float32 | bfloat16 | float16
    xla: str  # what it compiles: nothing | augmentation | everything
    augmentation: Augmentation

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` gave. Raises DataError when keys are missing or unknown."""
        try:
            return cls(**(values | {"augmentation": Augmentation(**values["augmentation"])}))
        except (TypeError, KeyError):
            known = ", ".join(field.name for field in fields(cls))
            raise DataError(
                f"the recipe holds {', '.join(sorted(values))}, expected {known}: run `dvc repro train`"
            ) from None
