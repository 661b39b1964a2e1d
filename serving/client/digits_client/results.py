"""What a call gives: predictions, the version that made them, the state of versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

AVAILABLE = "AVAILABLE"

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one image shows."""

    digit: int  # the likeliest, 0–9
    confidence: float  # its probability
    probabilities: tuple[float, ...]  # of the digits 0–9, float32 values; they sum to 1
    accepted: bool | None = None  # whether the confidence is enough; None: this model version does not tell


@dataclass(frozen=True, slots=True)
class Answer(Generic[T_co]):
    """One item an image, in the order of the images, and the one model version that made them all."""

    predictions: tuple[T_co, ...]  # Prediction; with on_error="return" also BadRequest
    version: int | None  # None when no image got as far as a model

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)

    def __getitem__(self, index: int) -> T_co:
        return self.predictions[index]


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version of the model on the server."""

    version: int
    state: str  # START, LOADING, AVAILABLE, UNLOADING, END; END with an error is a failed load
    error: str = ""  # why it failed; empty if it did not
