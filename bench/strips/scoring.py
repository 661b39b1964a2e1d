"""Compares readings with the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.strips.writing import Number, Photo
from digits_client.reading import Field, Reading


@dataclass(frozen=True)
class Judgement:
    """The comparison for one picture."""

    read: str  # what was read, a line a line
    right: tuple[bool, ...]  # of each number, whether one field says it and no other is there
    answered: tuple[bool, ...]  # of each number, whether a field of it was accepted
    accepted: tuple[bool, ...]  # of each accepted field, whether it is right
    whole: bool  # every number was read right, and nothing else


def digits_of(text: str) -> str:
    """Return a text without the marks that part its digits."""
    return re.sub(r"\D", "", text)


def judge(photo: Photo, reading: Reading) -> Judgement:
    """Compare a reading with the truth: digits alone, each field with the number that it covers best."""
    found: list[list[Field]] = [[] for _ in photo.numbers]
    for field in reading.fields:
        shares = [_overlap(number, field) for number in photo.numbers]
        if any(shares):
            found[shares.index(max(shares))].append(field)
    said = [[digits_of(each.text) for each in fields] for fields in found]
    right = [texts == [digits_of(number.text)] for number, texts in zip(photo.numbers, said, strict=True)]
    good = [fields[0] for fields, ok in zip(found, right, strict=True) if ok]
    return Judgement(
        reading.text,
        tuple(right),
        tuple(any(each.accepted for each in fields) for fields in found),
        tuple(each in good for each in reading.fields if each.accepted),
        all(right) and len(reading.fields) == len(right),
    )


def figures(judged: Sequence[Judgement]) -> dict[str, Any]:
    """Return how many numbers were read right, how many answered, and how many accepted fields are right."""
    told: dict[str, Any] = {"n": len(judged)}
    for name in ("right", "answered", "accepted"):
        flags = [flag for one in judged for flag in getattr(one, name)]
        told[name] = {"n": len(flags), "right": sum(flags)}
    return told


def _overlap(number: Number, field: Field) -> float:
    """Return the intersection of both boxes over their union."""
    (x, y, w, h), box = number.box, field.box
    across = max(0, min(x + w, box.x + box.w) - max(x, box.x))
    both = across * max(0, min(y + h, box.y + box.h) - max(y, box.y))
    return both / (w * h + box.w * box.h - both)
