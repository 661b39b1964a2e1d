"""The dimensions of a search over the train section of params.yaml, from `KEY=SPEC` texts.

    train.batch=[128,256]             one of these
    train.rate=log(1e-4,1e-1)         between the two, evenly on a logarithmic scale
    train.dropout=uniform(0,0.5)      between the two, evenly

Whole numbers are drawn where the key wants them. Every bound and choice is tried on the strict schema of
params.yaml before anything runs, so an unknown key costs nothing. SPACES has what `digits sweep` searches
where no space is given: each range holds the profile's own value; docs/LOG.md has what was tried.
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

Space = dict[str, str]  # key of the section train → what it may be, for flows.search.space

OURS: Space = {
    "rate": "log(0.004,0.05)",
    "weight_decay": "log(0.005,0.2)",
    "label_smoothing": "uniform(0,0.2)",
    "augmentation.rotation": "uniform(5,25)",
    "augmentation.elastic": "uniform(0.2,1.5)",
    "augmentation.damaged": "uniform(0,0.6)",
}
ROBUST: Space = OURS | {
    "augmentation.severe": "uniform(0,0.4)",
    "augmentation.wide": "uniform(0,0.4)",
    "outliers": "[0.0,0.02,0.05,0.1]",
}
LONG: Space = OURS | {"dropout": "uniform(0,0.5)"}
TUTORIAL: Space = {"rate": "log(0.0001,0.01)", "batch": "[32,64,128]"}
SPACES: dict[str, Space] = {
    "speedrun": OURS,
    "fast": ROBUST,
    "robust": ROBUST,
    "standard": LONG,
    "full": LONG,
    "tiny": OURS,
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


def texts(profile: str) -> list[str]:
    """The profile's space in the words of the command line."""
    return [f"train.{key}={spec}" for key, spec in SPACES[profile].items()]


SECTION = "train"
DIGITS = 4  # significant ones of a drawn value: the printed command then holds exactly what was trained with
EXPECTED = "expected KEY=[A,B,…], KEY=log(LOW,HIGH) or KEY=uniform(LOW,HIGH)"
_RANGE = re.compile(r"(log|uniform)\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)")
_PROBE = 0.381966  # a place between two bounds that is no whole number where whole numbers are wanted

Settings = dict[str, Any]  # dotted key → value


@dataclass(frozen=True)
class Dimension:
    """One key and what it may be: `choices`, or a range from `low` to `high`."""

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
        """The specification in words that `parse` reads."""
        if self.choices:
            return f"[{', '.join(map(text, self.choices))}]"
        return f"{'log' if self.log else 'uniform'}({text(self.low)},{text(self.high)})"

    def rounded(self, value: Any) -> Any:
        """A drawn value as it is trained with: few digits, and never out of range."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


def text(value: Any) -> str:
    """A value as params.yaml and `dvc exp run -S` both read it: 1e-05 would be a word to YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(np.format_float_positional(value, trim="0"))
    return str(value)


def parse(texts: Iterable[str], base: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions that the texts describe; `base` is the plain train section that they override.

    Raises ParamsError for an unknown key, a value that the key can't hold, or a text that says nothing.
    """
    found: dict[str, Dimension] = {}
    for given in texts:
        key, equals, spec = (part.strip() for part in given.partition("="))
        if not equals or not spec:
            raise ParamsError(f"space '{given}': {EXPECTED}")
        if not key.startswith(f"{SECTION}."):
            raise ParamsError(
                f"space '{given}': a trial only trains, so keys must begin with '{SECTION}.'; "
                "what other sections say makes the data or judges the model"
            )
        if key in found:
            raise ParamsError(f"space '{given}': {key} is given twice")
        found[key] = _dimension(key, spec, given, base)
    if not found:
        raise ParamsError(f"the space is empty: {EXPECTED}")
    return tuple(found.values())


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
    """1.0e3, which YAML takes for a word, as the number that is meant."""
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
    """The train section with settings put in, checked. Raises ParamsError naming the key."""
    tree = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in settings.items():
        place = tree
        *path, last = key.split(".")[1:]
        for step in path:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ParamsError(f"unknown key '{key}': '{step}' holds no keys of its own")
            place = inner
        place[last] = value
    parsed: TrainParams = params.parse(SECTION, tree)
    return parsed


def grid(space: tuple[Dimension, ...]) -> list[Settings]:
    """Every combination of the choices, in order. Raises ParamsError where a dimension is a range."""
    for dimension in space:
        if not dimension.choices:
            raise ParamsError(
                f"a grid needs choices, and {dimension.key} is {dimension.spec}: give it as "
                f"{dimension.key}=[…], or take another sampler"
            )
    keys = [dimension.key for dimension in space]
    combinations = itertools.product(*(dimension.choices for dimension in space))
    return [dict(zip(keys, values, strict=True)) for values in combinations]


def command(profile: str, settings: Mapping[str, Any]) -> str:
    """What makes these settings an experiment of the whole pipeline, scored on the test images."""
    pairs = {f"{SECTION}.profile": profile, **settings}
    return " ".join(["dvc exp run", *(f"-S {key}={text(value)}" for key, value in pairs.items())])
