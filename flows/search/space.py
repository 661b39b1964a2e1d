"""Parses the search space of a sweep: dimensions of the train section of params.yaml, as `KEY=SPEC` texts.

    train.batch=[128,256]             one of these
    train.rate=log(1e-4,1e-1)         between the two, evenly on a logarithmic scale
    train.dropout=uniform(0,0.5)      between the two, evenly

Whole numbers are drawn where the key requires them. Every bound and choice is checked against the strict
schema of params.yaml before anything runs, so a misspelt key costs no training. SPACES has what
`digits sweep` searches if no space is given: each range contains the profile's own value; docs/LOG.md says
what was tried.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from digits.runtime import params
from digits.runtime.errors import ParamsError
from digits.runtime.params import TrainParams

Space = dict[str, str]  # key of the section train to its SPEC

BASIC: Space = {
    "rate": "log(0.004,0.05)",
    "weight_decay": "log(0.005,0.2)",
    "label_smoothing": "uniform(0,0.2)",
    "augmentation.rotation": "uniform(5,25)",
    "augmentation.elastic": "uniform(0.2,1.5)",
    "augmentation.damaged": "uniform(0,0.6)",
}
ROBUST: Space = BASIC | {
    "augmentation.severe": "uniform(0,0.4)",
    "augmentation.wide": "uniform(0,0.4)",
    "outliers": "[0.0,0.02,0.05,0.1]",
    "styled": "[0.0,0.02,0.04,0.08]",
}
LONG: Space = BASIC | {"dropout": "uniform(0,0.5)"}
TUTORIAL: Space = {"rate": "log(0.0001,0.01)", "batch": "[32,64,128]"}
SPACES: dict[str, Space] = {
    "speedrun": BASIC,
    "fast": ROBUST,
    "robust": ROBUST,
    "standard": LONG,
    "full": LONG,
    "tiny": BASIC,
    "S0": TUTORIAL,
    "S1": TUTORIAL,
    "S2": TUTORIAL,
    "S3": TUTORIAL,
    "S4": TUTORIAL,
    "S4-dropout": TUTORIAL | {"dropout": "uniform(0,0.6)"},
    "S4-l2": TUTORIAL | {"l2": "log(0.000001,0.01)"},
    "S4-augmented": TUTORIAL
    | {"augmentation.rotation": "uniform(0,40)", "augmentation.mirrored": "uniform(0,0.5)"},
    "S4-early-stopping": TUTORIAL | {"early_stopping": "[1,2,3,5]"},
}


def profile_specs(profile: str) -> list[str]:
    """The profile's own space, as `KEY=SPEC` texts."""
    return [f"train.{key}={spec}" for key, spec in SPACES[profile].items()]


SECTION = "train"
DIGITS = 4  # significant digits of a drawn value: the printed command then has exactly what was trained with
EXPECTED = "expected KEY=[A,B,…], KEY=log(LOW,HIGH) or KEY=uniform(LOW,HIGH)"
_RANGE = re.compile(r"(log|uniform)\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)")
_PROBE = 0.381966  # a position between two bounds that is rarely a whole number

Settings = dict[str, Any]  # dotted key to value


@dataclass(frozen=True)
class Dimension:
    """One key and its possible values: `choices`, or a range from `low` to `high`."""

    key: str  # dotted, beginning with `train.`
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def label(self) -> str:
        """The key without its section."""
        return self.key.removeprefix(f"{SECTION}.")

    @property
    def spec(self) -> str:
        """The SPEC, as `parse` reads it."""
        if self.choices:
            return f"[{', '.join(map(text, self.choices))}]"
        return f"{'log' if self.log else 'uniform'}({text(self.low)},{text(self.high)})"

    def rounded(self, value: Any) -> Any:
        """A drawn value rounded to DIGITS, but never out of range; this is what a trial trains with."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


def text(value: Any) -> str:
    """A value as both params.yaml and `dvc exp run -S` read it: YAML takes 1e-05 for text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(np.format_float_positional(value, trim="0"))
    return str(value)


def parse(specs: Iterable[str], base: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Parse `KEY=SPEC` texts. base: the plain train section that they override.

    Raises ParamsError for an unknown key, a value that the key does not allow, or an invalid SPEC.
    """
    dimensions: dict[str, Dimension] = {}
    for given in specs:
        key, equals, spec = (part.strip() for part in given.partition("="))
        if not equals or not spec:
            raise ParamsError(f"space '{given}': {EXPECTED}")
        if not key.startswith(f"{SECTION}."):
            raise ParamsError(
                f"space '{given}': a trial only trains, so keys must begin with '{SECTION}.'; "
                "the other sections make the data or judge the model"
            )
        if key in dimensions:
            raise ParamsError(f"space '{given}': {key} is given twice")
        dimensions[key] = _dimension(key, spec, given, base)
    if not dimensions:
        raise ParamsError(f"the space is empty: {EXPECTED}")
    return tuple(dimensions.values())


def _dimension(key: str, spec: str, given: str, base: Mapping[str, Any]) -> Dimension:
    if matched := _RANGE.fullmatch(spec):
        try:
            low, high = float(matched[2]), float(matched[3])
        except ValueError:
            raise ParamsError(f"space '{given}': the bounds must be numbers") from None
        log = matched[1] == "log"
        if not low < high or (log and low <= 0):
            need = "LOW must be above 0 and below HIGH" if log else "LOW must be below HIGH"
            raise ParamsError(f"space '{given}': {need}")
        whole = _wants_whole(key, low, high, base)
        for bound in (low, high):
            section(base, {key: int(bound) if whole else bound})
        return Dimension(key, low=low, high=high, log=log, whole=whole)
    try:
        choices = yaml.safe_load(re.sub(r"(?<![\w.])(\d+)([eE][-+]?\d+)", r"\1.0\2", spec))
    except yaml.YAMLError:
        choices = None
    if not isinstance(choices, list) or not choices:
        raise ParamsError(f"space '{given}': {EXPECTED}")
    choices = [_number(choice) for choice in choices]
    for choice in choices:
        section(base, {key: choice})
    return Dimension(key, choices=tuple(dict.fromkeys(choices)))


def _number(value: Any) -> Any:
    """The number in a text such as 1.0e3, which YAML does not read as one; other values unchanged."""
    try:
        return float(value) if isinstance(value, str) and "e" in value.lower() else value
    except ValueError:
        return value


def _wants_whole(key: str, low: float, high: float, base: Mapping[str, Any]) -> bool:
    between = low + (high - low) * _PROBE
    try:
        section(base, {key: int(low) + 0.5 if between.is_integer() else between})
    except ParamsError:
        if not (low.is_integer() and high.is_integer()):
            raise
        return True
    return False


def section(base: Mapping[str, Any], settings: Mapping[str, Any]) -> TrainParams:
    """The train section with settings in it, checked. Raises ParamsError naming the key."""
    tree = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in settings.items():
        place = tree
        *path, last = key.split(".")[1:]
        for step in path:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ParamsError(f"unknown key '{key}': '{step}' has no keys of its own")
            place = inner
        place[last] = value
    parsed: TrainParams = params.parse(SECTION, tree)
    return parsed


def grid(space: tuple[Dimension, ...]) -> list[Settings]:
    """Every combination of the choices, in order. Raises ParamsError where a dimension is a range."""
    for dimension in space:
        if not dimension.choices:
            raise ParamsError(
                f"a grid needs choices, but {dimension.key} is {dimension.spec}: give it as "
                f"{dimension.key}=[…], or use another sampler"
            )
    keys = [dimension.key for dimension in space]
    combinations = itertools.product(*(dimension.choices for dimension in space))
    return [dict(zip(keys, values, strict=True)) for values in combinations]


def command(profile: str, settings: Mapping[str, Any]) -> str:
    """The command that runs the whole pipeline with these settings, scored on the test images."""
    pairs = {f"{SECTION}.profile": profile, **settings}
    return " ".join(["dvc exp run", *(f"-S {key}={text(value)}" for key, value in pairs.items())])
