"""The results of calls, and how they are made from the outputs of Predict, checked against the contract."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from digits_client.contract import COLUMN, DIGITS, LONGEST, SEPARATOR

AVAILABLE = "AVAILABLE"

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The digit that an image shows."""

    digit: int  # the most likely, 0–9
    confidence: float  # its probability
    probabilities: tuple[float, ...]  # of the digits 0–9, float32 values; they sum to 1
    accepted: bool | None = (
        None  # whether the confidence is high enough; None: this model version does not say
    )


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a line of writing."""

    digit: int | None  # 0–9; None: a mark that separates digits, such as a decimal point
    probability: float  # the model's, at the place where it is surest
    position: float  # of its middle, in pixels from the left edge of the line's picture


@dataclass(frozen=True, slots=True)
class LinePrediction:
    """What the picture of one line of writing says."""

    text: str  # the digits, from left to right; empty: the line has none
    written: str  # the same with a "." for every separator
    confidence: float  # of the whole line being right
    accepted: bool  # whether that is enough
    characters: tuple[Character, ...]
    columns: tuple[tuple[float, ...], ...]  # per 4 pixels the probabilities of 0–9, separator, nothing


@dataclass(frozen=True, slots=True)
class Answer(Generic[T_co]):
    """The results for all images, in their order, and the one model version that made them."""

    predictions: tuple[T_co, ...]  # Prediction; with on_error="return" also BadRequest
    version: int | None  # None when no image reached a model

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


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a server for some images. version: None where the answer does not name it."""

    digits: Sequence[Any]  # [n]
    confidences: Sequence[Any]  # [n]
    probabilities: Sequence[Sequence[Any]]  # [n][10]
    version: int | None
    accepted: Sequence[Any] | None = None  # [n]; None: the model version has no such output


@dataclass(frozen=True, slots=True)
class LineOutputs:
    """The outputs of a server for some lines, as the contract names them. version: None where unnamed."""

    text: Sequence[Any]  # [n]
    written: Sequence[Any]  # [n]
    confidence: Sequence[Any]  # [n]
    accepted: Sequence[Any]  # [n]
    length: Sequence[Any]  # [n]
    character: Sequence[Sequence[Any]]  # [n][24]
    probability: Sequence[Sequence[Any]]  # [n][24]
    position: Sequence[Sequence[Any]]  # [n][24]
    columns: Sequence[Sequence[Sequence[Any]]]  # [n][t][12]
    column_count: Sequence[Any]  # [n]
    version: int | None = None


def predictions(outputs: Outputs, count: int) -> list[Prediction]:
    """Return one prediction for each of `count` images. Raises ValueError for what breaks the contract."""
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
    *shares, sure = _floats([*probabilities, confidence], "probabilities")
    return Prediction(digit, sure, tuple(shares), accepted)


def _floats(values: Any, name: str) -> array[float]:
    """The numbers of an output. Raises ValueError for anything but finite numbers."""
    try:
        # JSON has more decimals than float32: rounded to float32, equal answers of both transports are equal.
        numbers = array("f", values)
    except (TypeError, OverflowError):
        raise ValueError(f"{name} that are not numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} that are not finite")
    return numbers


def line_predictions(outputs: LineOutputs, count: int) -> list[LinePrediction]:
    """Return one prediction for each of `count` lines. Raises ValueError for what breaks the contract."""
    columns = [getattr(outputs, name) for name in LineOutputs.__slots__ if name != "version"]
    if any(len(column) != count for column in columns):
        raise ValueError(f"{', '.join(str(len(column)) for column in columns)} outputs for {count} lines")
    return [_line(*row) for row in zip(*columns, strict=True)]


def _line(
    text: Any,
    written: Any,
    confidence: Any,
    accepted: Any,
    length: Any,
    character: Any,
    probability: Any,
    position: Any,
    columns: Any,
    column_count: Any,
) -> LinePrediction:
    if type(accepted) is not bool:
        raise ValueError(f"accepted {accepted!r}")
    if type(length) is not int or not 0 <= length <= LONGEST:
        raise ValueError(f"length {length!r}")
    classes = list(character)[:length]
    if not all(type(each) is int and 0 <= each <= SEPARATOR for each in classes) or len(classes) != length:
        raise ValueError(f"characters {classes!r}")
    signs = ["." if each == SEPARATOR else str(each) for each in classes]
    if written != "".join(signs) or text != written.replace(".", ""):
        raise ValueError(f"text {text!r} and {written!r} for characters {classes!r}")
    if type(column_count) is not int or not 0 < column_count <= len(columns):
        raise ValueError(f"column_count {column_count!r} of {len(columns)} columns")
    kept = [tuple(_floats(column, "columns")) for column in columns[:column_count]]
    if any(len(column) != COLUMN for column in kept):
        raise ValueError(f"columns that are not {COLUMN} numbers")
    shares, places = _floats(probability, "probability"), _floats(position, "position")
    if min(len(shares), len(places)) < length:
        raise ValueError(f"fewer of probability and position than {length} characters")
    (sure,) = _floats([confidence], "confidence")
    characters = tuple(
        Character(None if each == SEPARATOR else each, share, place)
        for each, share, place in zip(classes, shares, places, strict=False)
    )
    return LinePrediction(text, written, sure, accepted, characters, tuple(kept))
