"""A training recipe: every value concrete, nothing left to choose. recipe.json beside the model holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from digits.runtime.errors import DataError

SEEDS_APART = 10_007  # of the members of an ensemble, so that those of seeds 1, 2, 3 … do not meet


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a fit does, beside the data."""

    profile: str
    seed: int
    n_train: int
    small_data: bool  # the preset's small-data settings apply
    architecture: str  # one of digits.model.architectures, or several joined by +: an ensemble of them
    normalization: str  # canonical | scaled
    optimizer: str
    rate: float  # highest learning rate
    beta_2: float  # adam's and adamw's: decay a step of the squared gradient's average
    schedule: str
    warmup: float  # share of the steps
    batch: int
    steps: int  # of each network
    label_smoothing: float
    l1: float
    l2: float
    weight_decay: float
    dropout: float
    sparsity: float  # share of each kernel's weights, the smallest, that are zero in the end
    ema: float  # decay of the averaged weights a step; 0 keeps the last weights
    early_stopping: int  # epochs without a better validation loss; 0 never stops early
    validation_every: int  # epochs
    outliers: float  # share of each batch that is pictures without a digit
    outlier_pool: int  # pictures that these are drawn from
    styled: float  # share of each batch that is digits in hands that the data set lacks
    distillation: float  # share of the truth that is the teacher's answer
    teacher: Recipe | None  # whose model is trained first and then taught from; none without distillation
    device: str  # cpu | gpu
    precision: str  # float32 | bfloat16 | float16
    xla: str  # what it compiles: nothing | augmentation | everything
    augmentation: Mapping[str, float]  # the strengths of a digits.augment.policies.Augmentation, by name

    def networks(self) -> tuple[Recipe, ...]:
        """A recipe for each network of the model, itself where there is one."""
        names = members(self.architecture)
        if len(names) == 1:
            return (self,)
        return tuple(
            replace(self, architecture=name, seed=(self.seed + SEEDS_APART * place) % 2**31)
            for place, name in enumerate(names)
        )

    def trainings(self) -> tuple[Recipe, ...]:
        """A recipe for each network that is trained, in order: the teacher's come first."""
        return (*(self.teacher.trainings() if self.teacher else ()), *self.networks())

    @property
    def outlier_rows(self) -> int:
        """Of each batch, pictures without a digit."""
        return rows_of(self.outliers, self.batch)

    @property
    def styled_rows(self) -> int:
        """Of each batch, drawn digits in hands that the data set lacks."""
        return rows_of(self.styled, self.batch)

    @property
    def labelled_a_step(self) -> int:
        """Of each batch, pictures of digits: the data set's and drawn ones."""
        return self.batch - self.outlier_rows

    @property
    def digits_a_step(self) -> int:
        """Of each batch, images of the data set."""
        return self.labelled_a_step - self.styled_rows

    @property
    def all_steps(self) -> int:
        """Of all trainings together."""
        return sum(one.steps for one in self.trainings())

    def headline(self, n_validation: int) -> str:
        """What is about to be trained, in a line."""
        few = ", settings for few images" if self.small_data else ""
        count = len(self.trainings())
        networks = f"{count} networks, " if count > 1 else ""
        return (
            f"profile {self.profile}{few}: {self.n_train:,} images, {n_validation:,} for validation, "
            f"{networks}{self.all_steps:,} steps of {self.batch}, {self.device} in {self.precision}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` gave. Raises DataError when keys are missing or unknown."""
        try:
            teacher = values["teacher"] and cls.from_dict(values["teacher"])
            return cls(**(values | {"teacher": teacher}))
        except (TypeError, KeyError):
            known = ", ".join(field.name for field in fields(cls))
            raise DataError(
                f"the recipe holds {', '.join(sorted(values))}, expected {known}: run `dvc repro train`"
            ) from None


def rows_of(share: float, batch: int) -> int:
    """How many of a batch's rows a share is: at least one, where it is not 0."""
    return max(1, round(share * batch)) if share else 0


def members(architecture: str) -> list[str]:
    """The architectures of an ensemble's networks; of a plain name the one."""
    return architecture.split("+")
