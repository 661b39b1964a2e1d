"""Profiles of the line reader's training, and the recipe that one of them gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from digits.augment.policies import SMALL
from digits.runtime.hardware import Hardware
from digits.runtime.params import LinesParams


@dataclass(frozen=True)
class LineRecipe:
    """All that a training of the line reader depends on besides its data."""

    profile: str
    architecture: str  # of digits.line_model.network
    steps: int
    batch: int  # lines a step
    rate: float  # highest learning rate, of a warm-up and half a cosine
    weight_decay: float  # share of the kernels times the rate, a step
    dropout: float  # share of the features before the last layers
    ema: float  # decay a step of the averaged weights, which are what is kept
    seed: int
    device: str
    precision: str
    n_train: int  # digits to compose from
    n_real: int  # lines that people brought
    real: float  # share of a step's lines that are of these, where so many fit
    small_data: bool  # whether the settings for few images apply

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


_QUICK: dict[str, Any] = {
    "architecture": "medium",
    "steps": 2600,
    "batch": 64,
    "rate": 0.01,
    "weight_decay": 0.02,
    "dropout": 0.1,
    "ema": 0.98,
}
# name → settings, and what few images change: styles and hands repeat sooner, so fewer steps do
PROFILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "quick": (_QUICK, {"steps": 900}),
    "full": (_QUICK | {"architecture": "large", "steps": 8000, "ema": 0.995}, {"steps": 2000}),
    "tiny": (_QUICK | {"architecture": "tiny", "steps": 10, "batch": 16}, {}),
}


def resolve(params: LinesParams, n: int, n_real: int, hardware: Hardware) -> LineRecipe:
    """The recipe for `n` digits to compose from, and `n_real` lines that people brought."""
    settings, few = PROFILES[params.profile]
    small = n <= SMALL and bool(few)
    given = {name: value for name in _QUICK if (value := getattr(params, name)) is not None}
    return LineRecipe(
        **settings | (few if small else {}) | given,
        profile=params.profile,
        seed=params.seed,
        device=hardware.device,
        precision=hardware.precision,
        n_train=n,
        n_real=n_real,
        real=params.real if n_real else 0.0,
        small_data=small,
    )
