"""What a photo shows: digits, grouped to fields and lines, and writing in which there are none."""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """A place in the upright photo, in pixels: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Digit:
    """One digit in its place."""

    box: Box
    digit: int  # the likeliest, 0–9
    confidence: float  # its probability at the place where the model is surest of it
    accepted: bool  # whether that is enough, or its whole field is accepted
    alternatives: tuple[tuple[int, float], ...]  # the other digits with their probabilities, likeliest first


@dataclass(frozen=True, slots=True)
class Separator:
    """A mark between digits."""

    box: Box
    text: str  # a point; with a format the sign that it has there


@dataclass(frozen=True, slots=True)
class LineImage:
    """A line of writing as the model was asked about it, and what the model said of all of it."""

    pixels: NDArray[np.uint8] = dataclasses.field(compare=False, repr=False)  # [32, w]
    text: str  # the digits, with a "." for every separator
    confidence: float


@dataclass(frozen=True, slots=True)
class Field:
    """Digits that belong together, from left to right."""

    kind: str  # digit, number, postcode (five digits), amount (one or two digits after a point), score (3:2)
    text: str  # digits and separators, as "12.50"
    confidence: float  # that all of it is right
    accepted: bool  # whether that is enough
    box: Box
    digits: tuple[Digit, ...]
    separators: tuple[Separator, ...]
    image: LineImage  # of the whole line that it is from


@dataclass(frozen=True, slots=True)
class Line:
    """Fields beside each other, from left to right."""

    box: Box
    fields: tuple[Field, ...]

    @property
    def text(self) -> str:
        """The fields, a space between them."""
        return " ".join(field.text for field in self.fields)


@dataclass(frozen=True, slots=True)
class Unread:
    """What looked like a line of writing and was not read."""

    box: Box
    reason: str
    image: LineImage


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found in a photo. Boxes are in the upright photo, of this width and height."""

    width: int
    height: int
    lines: tuple[Line, ...]  # from top to bottom
    unread: tuple[Unread, ...]
    version: int | None  # of the model that read it; None when there was nothing to ask

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field, line by line."""
        return tuple(field for line in self.lines for field in line.fields)

    @property
    def digits(self) -> tuple[Digit, ...]:
        """Every digit, field by field."""
        return tuple(digit for field in self.fields for digit in field.digits)

    @property
    def text(self) -> str:
        """A text line a line."""
        return "\n".join(line.text for line in self.lines)

    @property
    def images(self) -> tuple[LineImage, ...]:
        """The images that its fields, and what is unread, are from, each once."""
        found = [each.image for each in self.fields] + [each.image for each in self.unread]
        return tuple({id(each): each for each in found}.values())


def around(boxes: list[Box]) -> Box:
    """The smallest box that holds them all, at least one."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.w for box in boxes)
    return Box(x, y, right - x, max(box.y + box.h for box in boxes) - y)


def as_tree(reading: Reading, pixels: int = 0) -> dict[str, Any]:
    """The reading for JSON: plain lists and dictionaries, probabilities to six digits.

    pixels: how many pixels of lines to give as well, as PNG files in base64. Each field and what is unread
    then has the number of its image, None for one that is beyond them.
    """
    wanted = pixels > 0
    numbers: dict[int, int] = {}
    images: list[dict[str, Any]] = []
    for each in reading.images:
        pixels -= each.pixels.size
        if pixels < 0:
            break
        numbers[id(each)] = len(images)
        png = base64.b64encode(cv2.imencode(".png", each.pixels)[1].tobytes()).decode()
        images.append({"png": png, "text": each.text, "confidence": round(each.confidence, 6)})

    def box(given: Box) -> list[int]:
        return [given.x, given.y, given.w, given.h]

    def digit(given: Digit) -> dict[str, Any]:
        others = [[other, round(p, 6)] for other, p in given.alternatives]
        return {
            "box": box(given.box),
            "digit": given.digit,
            "confidence": round(given.confidence, 6),
            "accepted": given.accepted,
            "alternatives": others,
        }

    def image(given: Field | Unread) -> dict[str, Any]:
        return {"image": numbers.get(id(given.image))} if wanted else {}

    def field(given: Field) -> dict[str, Any]:
        return {
            "kind": given.kind,
            "text": given.text,
            "confidence": round(given.confidence, 6),
            "accepted": given.accepted,
            "box": box(given.box),
            "digits": [digit(each) for each in given.digits],
            "separators": [{"box": box(each.box), "text": each.text} for each in given.separators],
            **image(given),
        }

    tree = {
        "width": reading.width,
        "height": reading.height,
        "text": reading.text,
        "lines": [
            {"box": box(line.box), "text": line.text, "fields": [field(each) for each in line.fields]}
            for line in reading.lines
        ],
        "unread": [{"box": box(each.box), "reason": each.reason, **image(each)} for each in reading.unread],
        "version": reading.version,
    }
    return tree | ({"images": images} if wanted else {})
