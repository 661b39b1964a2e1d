"""Reads what a version's requests are compared with, `assets.extra/monitoring.json`; stage `export` wrote
it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits import files, wire
from digits.runtime.errors import DataError

FORMAT = 1


@dataclass(frozen=True)
class Known:
    """An event whose share is known from the images that a version was made from.

    It is that `column` of a row of one of these `kinds` lies below the one value, above the other, or is
    equal to the third: those that say nothing are infinite, or NaN. least, most: its share in the sources
    with the least and the most of it, at the far ends of their intervals.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    column: str
    below: float
    above: float
    equal: float
    least: float
    most: float


@dataclass(frozen=True)
class Reference:
    """What is known of a version. accuracy: share of the test images right."""

    version: int
    accuracy: float
    events: tuple[Known, ...]


def load(version: Path, number: int) -> Reference:
    """Read a published version's. Raises DataError when it has none, or a damaged one."""
    path = version / wire.MONITORING
    if not path.is_file():
        raise DataError(
            f"version {number} can't be monitored, since it was exported without {wire.MONITORING}: "
            "run `make run`, which publishes one that can"
        )
    return parse(files.read_json(path), number)


def parse(content: Any, number: int) -> Reference:
    """The same from the file's content."""
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        known = tuple(_known(event) for event in content["events"])
        return Reference(number, _share(content["accuracy"]), known)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{wire.MONITORING} of version {number} is damaged ({error!r}): publish the version again"
        ) from None


def _known(event: Mapping[str, Any]) -> Known:
    if not {"below", "above", "equal"} & event.keys():
        raise ValueError(f"{event['name']} is neither below, above nor equal to anything")
    return Known(
        str(event["name"]),
        str(event["group"]),
        tuple(map(str, event["kinds"])),
        str(event["column"]),
        below=float(event.get("below", -math.inf)),
        above=float(event.get("above", math.inf)),
        equal=float(event.get("equal", math.nan)),
        least=_share(event["least"]),
        most=_share(event["most"]),
    )


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"a share is {value}, expected 0 to 1")
    return float(value)
