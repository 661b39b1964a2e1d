"""The sections of params.yaml as strict, frozen objects: one per stage, and one for monitoring.

There are no defaults here: the file is the only source of values.
"""

from __future__ import annotations

import difflib
import re
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from digits.runtime.errors import ParamsError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """A section of params.yaml: every key required, none unknown, no silent conversion, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# Names, not imports: the stages that read params.yaml need neither the recipes nor TensorFlow. Tests hold
# them equal to digits.train.profiles and digits.model.architectures.
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
    """How strongly training images are transformed and damaged; null takes the profile's value."""

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
    """The profile of the training, and values that override it; null takes the profile's value."""

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
    styled: Annotated[float, Field(ge=0.0, le=0.5)] | None
    teacher: Profile | Literal["none"] | None
    distillation: Share | None
    in_memory: Count
    device: Literal["auto", "cpu", "gpu"]
    distribution: Literal["auto", "none", "mirrored", "hosts"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    xla: Literal["auto", "nothing", "augmentation", "everything"]
    augmentation: AugmentationParams


class IdxFile(Section):
    """One file of the data set: its name at a source, and the sha256 of its decompressed bytes."""

    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class IdxFiles(Section):
    """The four files of the data set."""

    train_images: IdxFile = Field(alias="train-images")
    train_labels: IdxFile = Field(alias="train-labels")
    test_images: IdxFile = Field(alias="test-images")
    test_labels: IdxFile = Field(alias="test-labels")

    def by_key(self) -> dict[str, IdxFile]:
        """Return the files by their keys in params.yaml."""
        return {str(field.alias): getattr(self, name) for name, field in type(self).model_fields.items()}


class IngestParams(Section):
    """Where the data come from."""

    dataset: str
    sources: list[str]
    files: IdxFiles
    connect_timeout: Positive
    read_timeout: Positive
    retries: Annotated[int, Field(ge=0)]
    allow_sample: bool
    sample_test: Annotated[int, Field(ge=10, le=4990)]
    heldout_share: Share
    heldout_from: Count
    batch_mib: Count
    batch_files: Count
    batch_rows: Count
    seed: Seed


class ValidateParams(Section):
    """The rules that data must satisfy."""

    min_contrast: Annotated[int, Field(ge=1, le=255)]
    min_ink: Share
    max_ink: Share
    min_class_share: Share
    class_share_tolerance: Share
    reference_slack: Share
    label_alarm_excess: Share
    labels_checked: list[str]
    seed: Seed


class PreprocessParams(Section):
    """How training rows are split."""

    validation_share: Share
    seed: Seed


class LinesParams(Section):
    """The profile of the line reader's training, and values that override it; null takes the profile's."""

    profile: Literal["quick", "full", "tiny"]
    seed: Seed
    architecture: Literal["medium", "large", "tiny"] | None
    steps: Count | None
    batch: Count | None
    rate: Positive | None
    weight_decay: Annotated[float, Field(ge=0.0)] | None
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    ema: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    real: Share
    validation: Annotated[int, Field(ge=50)]
    device: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]

    @property
    def xla(self) -> str:
        """Lines of many widths would be compiled anew for each."""
        return "nothing"


class EvaluateParams(Section):
    """The thresholds that a model must reach."""

    accuracy: Share
    large_test: Count
    lower_bound: Share
    lower_bound_small: Share
    digit: Share
    n_test: dict[str, Count]
    corruption_mean: Share
    corruption_worst: Share
    calibration_error: Share
    new_batch: Share
    answered_precision: Share
    non_digits: Share
    lines_of_a_kind: Annotated[int, Field(ge=20)]
    lines_answered_precision: Share
    lines_exact: dict[str, Share]
    lines_clean: dict[str, Share]
    lines_precision: dict[str, Share]
    lines_without_digits: dict[str, Share]
    seed: Seed


class ExportParams(Section):
    """The limits that the exported signatures enforce."""

    max_pixels: Count


class ConvertParams(Section):
    """How much accuracy the formats for phones and browsers may lose."""

    calibration: Count
    points_lost: Annotated[float, Field(ge=0.0, le=100.0)]
    int8_points_lost: Annotated[float, Field(ge=0.0, le=100.0)]
    browser_kernels: Literal["float32", "float16"]


class MonitorParams(Section):
    """How what is served is watched, and what follows from an alarm."""

    policy: Literal["notify", "label", "retrain"]
    every_minutes: Annotated[int, Field(ge=0, le=7 * 24 * 60)]
    alarm_days: Positive
    slack: Share
    label_images: Count
    retrain_from: Count
    keep_days: Count
    keep_looks: Count


SECTIONS: dict[str, type[Section]] = {
    "ingest": IngestParams,
    "validate": ValidateParams,
    "preprocess": PreprocessParams,
    "train": TrainParams,
    "lines": LinesParams,
    "evaluate": EvaluateParams,
    "export": ExportParams,
    "convert": ConvertParams,
    "monitor": MonitorParams,
}


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-05, as `dvc exp run -S` writes small numbers, as a number; YAML 1.1 wants
    1.0e-05.
    """


_BARE = re.compile(r"[-+]?\d+[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _BARE, list("-+0123456789"))


def load(section: str, path: Path = Path("params.yaml")) -> Any:
    """Return one section of a params file; the whole file is checked, so that a typo anywhere is reported.

    Raises ParamsError naming the key, its value, what was expected and the valid keys.
    """
    return load_all(path)[section]


def load_all(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Return every section of a params file. Raises ParamsError."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing: run this in the project's folder") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise ParamsError(f"{path.name} must hold the sections {', '.join(SECTIONS)}")
    for key in tree:
        if key not in SECTIONS:
            raise ParamsError(f"{path.name}: unknown section '{key}'{_hint(key, list(SECTIONS))}")
    if missing := [key for key in SECTIONS if key not in tree]:
        raise ParamsError(f"{path.name}: section '{missing[0]}' is missing; expected {', '.join(SECTIONS)}")
    return {name: parse(name, tree[name], path) for name in SECTIONS}


def parse(section: str, tree: Any, path: Path = Path("params.yaml")) -> Any:
    """Return one section from plain values. Raises ParamsError."""
    try:
        return SECTIONS[section].model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(_explain(section, fault) for fault in error.errors())
        raise ParamsError(f"{path.name}: {faults}") from None


def _explain(section: str, fault: Any) -> str:
    key = ".".join([section, *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_hint(str(fault['loc'][-1]), _keys(section, fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"key '{key}' is missing"
    return f"'{key}' is {fault['input']!r}: {fault['msg']}"


def _keys(section: str, inside: tuple[str | int, ...]) -> list[str]:
    """Return the valid keys at a place inside a section."""
    fields = SECTIONS[section].model_fields
    for step in inside:
        inner: Any = next(f.annotation for name, f in fields.items() if step in (name, f.alias))
        fields = next(k for k in (inner, *typing.get_args(inner)) if hasattr(k, "model_fields")).model_fields
    return [field.alias or name for name, field in fields.items()]


def _hint(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(str(key), valid, n=1)
    return (f" (did you mean '{close[0]}'?)" if close else "") + f"; valid: {', '.join(valid)}"
