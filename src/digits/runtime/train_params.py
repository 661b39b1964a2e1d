"""The section `train` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from digits.runtime.section import Count, Positive, Section, Seed, Share

# Names, not imports: the stages that read params.yaml need neither the recipes nor TensorFlow. Tests hold
# them equal to digits.train.zoo and digits.model.architectures.
Profile = Literal[
    "speedrun",
    "fast",
    "standard",
    "full",
    "robust",
    "tiny",
    "S0",
    "S1",
    "S2",
    "S3",
    "S4",
    "S4-dropout",
    "S4-l2",
    "S4-augmented",
    "S4-early-stopping",
]
ARCHITECTURES = (
    *("compact", "wide", "deep", "strided", "small"),
    *("mlp-128", "mlp-128-32", "cnn-32", "cnn-32-64-64"),
)


def _architectures(names: str) -> str:
    for name in names.split("+"):
        if name not in ARCHITECTURES:
            raise ValueError(f"{name!r} is none of {', '.join(ARCHITECTURES)}")
    return names


class AugmentationParams(Section):
    """How far training images are bent and damaged; null takes the profile's value."""

    rotation: Annotated[float, Field(ge=0.0, le=180.0)] | None
    scale: Share | None
    shear: Share | None
    shift: Annotated[float, Field(ge=0.0, le=14.0)] | None
    elastic: Annotated[float, Field(ge=0.0, le=14.0)] | None
    damaged: Share | None
    severe: Share | None
    wide: Share | None
    wide_by: Annotated[float, Field(ge=1.0, le=10.0)] | None
    mirrored: Share | None


class TrainParams(Section):
    """A profile, and what overrides it; null takes the profile's value."""

    profile: Profile
    seed: Seed
    architecture: Annotated[str, AfterValidator(_architectures)] | None
    normalization: Literal["canonical", "scaled"] | None
    optimizer: Literal["adam", "adamw", "muon", "sgd", "rmsprop"] | None
    rate: Positive | None
    beta_2: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    schedule: Literal["constant", "linear", "cosine"] | None
    warmup: Share | None
    batch: Count | None
    steps: Count | None
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    l1: Annotated[float, Field(ge=0.0)] | None
    l2: Annotated[float, Field(ge=0.0)] | None
    weight_decay: Annotated[float, Field(ge=0.0)] | None
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    sparsity: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    early_stopping: Annotated[int, Field(ge=0)] | None
    validation_every: Count | None
    outliers: Annotated[float, Field(ge=0.0, le=0.5)] | None
    outlier_pool: Count | None
    teacher: Profile | Literal["none"] | None
    distillation: Share | None
    in_memory: Count
    device: Literal["auto", "cpu", "gpu"]
    distribution: Literal["auto", "none", "mirrored", "hosts"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    xla: Literal["auto", "nothing", "augmentation", "everything"]
    augmentation: AugmentationParams
