"""The outputs of a Predict call, as plain numbers → predictions, if they are what the contract says."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from digits_client.contract import DIGITS
from digits_client.results import Prediction


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a server answered for some images, and by which version if it told."""

    digits: Sequence[Any]  # [n]
    confidences: Sequence[Any]  # [n]
    probabilities: Sequence[Sequence[Any]]  # [n][10]
    version: int | None
    accepted: Sequence[Any] | None = None  # [n]; None: the model version has no such output


def predictions(outputs: Outputs, count: int) -> list[Prediction]:
    """One prediction for each of `count` images. Raises ValueError saying what is not as agreed."""
    accepted: Sequence[Any] = [None] * count if outputs.accepted is None else outputs.accepted
    for name, column in (
        ("digit", outputs.digits),
        ("confidence", outputs.confidences),
        ("probabilities", outputs.probabilities),
        ("accepted", accepted),
    ):
        if len(column) != count:
            raise ValueError(f"{len(column)} of '{name}' for {count} images")
    for flag in outputs.accepted or ():
        if type(flag) is not bool:
            raise ValueError(f"accepted {flag!r}")
    rows = zip(outputs.digits, outputs.confidences, outputs.probabilities, accepted, strict=True)
    return [_prediction(*row) for row in rows]


def _prediction(digit: Any, confidence: Any, probabilities: Any, accepted: bool | None) -> Prediction:
    if type(digit) is not int or not 0 <= digit < DIGITS:
        raise ValueError(f"digit {digit!r}")
    if not isinstance(probabilities, Sequence) or len(probabilities) != DIGITS:
        raise ValueError(f"probabilities that are not {DIGITS} numbers")
    try:
        # Text has decimals that float32 rounds: as float32 on every way, equal answers are equal.
        numbers = array("f", [*probabilities, confidence])
    except (TypeError, OverflowError):
        raise ValueError("probabilities that are not numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError("probabilities that are not finite")
    *shares, sure = numbers
    return Prediction(digit, sure, tuple(shares), accepted)
