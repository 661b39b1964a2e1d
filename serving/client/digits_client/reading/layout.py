"""Groups the characters of lines into fields, and fields beside each other into lines.

A field ends where the gap is wide. Its kind is a guess by its form alone: what a number means, a form's
designer knows better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digits_client.reading.constraints import SEPARATOR, Format, places
from digits_client.reading.lines import APART, HIGH, Crop, bare
from digits_client.reading.results import Box, Digit, Field, Line, LineImage, Separator, Unread, around
from digits_client.results import Character, LinePrediction

COLUMN = 4  # pixels of a line's picture for which the model gives probabilities
BROAD = 0.7  # heights: half the width of a digit at most
UNSURE = 0.5  # confidence per character below which writing counts as unread
SURE = 0.98  # confidence of a digit that counts as accepted in a field that is not
MATCHED = 0.9  # confidence from which on a text of the caller's format is accepted
POSTCODE = 5  # digits
COVERED = 0.5  # of a field's place: of two fields of which one covers so much of the other one stays


@dataclass(frozen=True, slots=True)
class Placed:
    """A field, and its place on the levelled sheet: left, top, right, foot."""

    field: Field
    place: tuple[float, float, float, float]


def fields(
    crop: Crop, line: LinePrediction, size: tuple[int, int], least: float | None, form: Format | None
) -> list[Placed | Unread]:
    """What a crop of a photo of this width and height says."""
    image = LineImage(crop.picture, line.written, line.confidence)
    parts = _parts(line.characters, crop)
    if not parts:
        return [Unread(_box(crop, 0, 0, crop.picture.shape[1], HIGH, size), "no digits", image)]
    ends = [
        0,
        *(_column(a[-1].position / 2 + b[0].position / 2) for a, b in itertools.pairwise(parts)),
    ]
    ends.append(len(line.columns))
    spread = [-_evidence(line, first, last) for first, last in itertools.pairwise(ends)]
    made: list[Placed | Unread] = []
    for part, first, last, doubt in zip(parts, ends, ends[1:], spread, strict=False):
        if form is None:
            text = _trimmed(part)
            share = doubt / sum(spread) if sum(spread) > 0 else 1 / len(parts)
            sure = line.confidence**share if line.confidence > 0 else 0.0
            accepted = line.accepted if least is None else sure >= least
            signs = ["." if each.digit is None else str(each.digit) for each in text]
        else:
            text, signs, sure = _matched(form, line, first, last)
            accepted = bool(text) and sure >= (MATCHED if least is None else least)
        if not text or sure ** (1 / len(text)) < UNSURE:
            left, right = part[0].position - crop.height / 2, part[-1].position + crop.height / 2
            why = "too unsure" if form is None else f"nothing of the format {form.name}"
            made.append(Unread(_box(crop, left, 0, right, HIGH, size), why, image))
            continue
        made.append(_field(crop, line, image, text, signs, sure, accepted, size, form))
    return made


def _parts(characters: Sequence[Character], crop: Crop) -> list[list[Character]]:
    """The characters, parted at the wide gaps of a sheet that was cut out whole; only parts with digits."""
    parts: list[list[Character]] = [list(characters[:1])]
    for left, right in itertools.pairwise(characters):
        if bare(crop.ink[:, int(left.position) : int(right.position)]) > APART * crop.height:
            parts.append([])
        parts[-1].append(right)
    return [part for part in parts if any(each.digit is not None for each in part)]


def _trimmed(part: list[Character]) -> list[Character]:
    """From the first digit to the last."""
    at = [i for i, each in enumerate(part) if each.digit is not None]
    return part[at[0] : at[-1] + 1]


def _column(position: float) -> int:
    return max(0, int(position // COLUMN))


def _evidence(line: LinePrediction, first: int, last: int) -> float:
    """The logarithm of the probability of what the columns most likely say."""
    return sum(math.log(max(*column, 1e-9)) for column in line.columns[first:last])


def _matched(
    form: Format, line: LinePrediction, first: int, last: int
) -> tuple[list[Character], list[str], float]:
    columns = line.columns[first:last]
    match = form.best(columns) if columns else None
    if match is None:
        return [], [], 0.0
    found = [
        (
            Character(
                None if symbol == SEPARATOR else symbol, columns[t][symbol], COLUMN * (first + t + 0.5)
            ),
            sign,
        )
        for symbol, t, sign in zip(match.symbols, places(columns, match.symbols), match.signs, strict=True)
        if sign
    ]
    return [character for character, _ in found], [sign for _, sign in found], match.confidence


def _field(
    crop: Crop,
    line: LinePrediction,
    image: LineImage,
    text: list[Character],
    signs: list[str],
    sure: float,
    accepted: bool,
    size: tuple[int, int],
    form: Format | None,
) -> Placed:
    middles = [each.position for each in text]
    reach = BROAD * crop.height
    digits: list[Digit] = []
    separators: list[Separator] = []
    extents: list[tuple[float, float, float, float]] = []
    for i, (character, sign) in enumerate(zip(text, signs, strict=True)):
        left = middles[i] - reach if not i else max(middles[i] - reach, (middles[i - 1] + middles[i]) / 2)
        right = middles[i] + reach
        if i + 1 < len(text):
            right = min(right, (middles[i] + middles[i + 1]) / 2)
        extent = _inked(crop, left, right)
        box = _box(crop, *extent, size)
        if character.digit is None:
            separators.append(Separator(box, sign))
            continue
        extents.append(extent)
        column = line.columns[min(_column(character.position), len(line.columns) - 1)]
        others = sorted(enumerate(column[:SEPARATOR]), key=lambda pair: -pair[1])
        alternatives = tuple((digit, float(p)) for digit, p in others if digit != character.digit)
        enough = accepted or character.probability >= SURE
        digits.append(Digit(box, character.digit, character.probability, enough, alternatives))
    whole = "".join(signs)
    box = around([*(each.box for each in digits), *(each.box for each in separators)])
    kind = form.name if form is not None and form.name in ("amount", "score") else kind_of(whole)
    field = Field(kind, whole, sure, accepted, box, tuple(digits), tuple(separators), image)
    ends = np.array(
        [
            [
                [min(e[0] for e in extents), min(e[1] for e in extents)],
                [max(e[2] for e in extents), max(e[3] for e in extents)],
            ]
        ],
        np.float64,
    )
    (left, top), (right, foot) = cv2.perspectiveTransform(ends, crop.level)[0].tolist()
    return Placed(field, (left, top, right, foot))


def _inked(crop: Crop, left: float, right: float) -> tuple[float, float, float, float]:
    """The extent of the ink between two places, in the crop's pixels; of a usual digit where is none."""
    first, last = max(0, round(left)), min(crop.ink.shape[1], max(round(right), round(left) + 1))
    ink = crop.ink[:, first:last] > 96
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        middle = HIGH / 2
        return left, middle - crop.height / 2, right, middle + crop.height / 2
    return first + float(columns[0]), float(rows[0]), first + float(columns[-1]) + 1, float(rows[-1]) + 1


def _box(crop: Crop, left: float, top: float, right: float, foot: float, size: tuple[int, int]) -> Box:
    """Around a rectangle of the crop, in the photo."""
    ends = np.array([[[left, top], [right, top], [right, foot], [left, foot]]], np.float64)
    corners = cv2.perspectiveTransform(ends - 0.5, crop.place)[0] + 0.5
    low = np.clip(np.round(corners.min(axis=0)), 0, [size[0] - 1, size[1] - 1]).astype(int)
    high = np.clip(np.round(corners.max(axis=0)), low + 1, size).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def kind_of(text: str) -> str:
    """What a text of digits and separators looks like."""
    head, point, tail = text.replace(",", ".").rpartition(".")
    if point and head and 1 <= len(tail) <= 2 and tail.isdecimal():
        return "amount"
    for sign in ":-":
        if text.count(sign) == 1 and all(part.isdecimal() for part in text.split(sign)):
            return "score"
    if text.isdecimal():
        return {1: "digit", POSTCODE: "postcode"}.get(len(text), "number")
    return "number"


def rows(placed: Sequence[Placed]) -> list[Line]:
    """Fields of one sheet as lines, from top to bottom. Of fields over the same writing the longest stays."""
    made: list[list[Placed]] = []
    for each in sorted(_distinct(placed), key=lambda one: (one.place[1] + one.place[3], one.place[0])):
        row = next((row for row in made if all(_beside(each, other) for other in row)), None)
        if row is None:
            made.append([each])
        else:
            row.append(each)
    return [_line(sorted(row, key=lambda one: one.place[0])) for row in made]


def _distinct(placed: Sequence[Placed]) -> list[Placed]:
    """Those that lie on no longer or surer one: a shadow's edge or a frame can make two lines of one."""
    kept: list[Placed] = []
    for each in sorted(placed, key=lambda one: (-len(one.field.digits), -one.field.confidence)):
        if all(_covered(each.place, other.place) < COVERED for other in kept):
            kept.append(each)
    return kept


def _covered(place: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """The share of a place that another one covers."""
    (left, top, right, foot), (x, y, end, bottom) = place, other
    both = max(0.0, min(right, end) - max(left, x)) * max(0.0, min(foot, bottom) - max(top, y))
    return both / ((right - left) * (foot - top))


def _beside(a: Placed, b: Placed) -> bool:
    height = min(a.place[3] - a.place[1], b.place[3] - b.place[1])
    down = abs(a.place[1] + a.place[3] - b.place[1] - b.place[3]) / 2
    return down < height / 2 and (
        a.place[2] <= b.place[0] + height / 2 or b.place[2] <= a.place[0] + height / 2
    )


def _line(row: list[Placed]) -> Line:
    return Line(around([each.field.box for each in row]), tuple(each.field for each in row))
