"""Groups digits and marks in rows into fields and lines.

A field ends where the gap is wide. Its kind is a guess by its form alone: what a number means, a form's
designer knows better.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digits_client.reading.blobs import Blob, Row
from digits_client.reading.page import Page
from digits_client.reading.results import (
    Box,
    Digit,
    Field,
    Line,
    Reading,
    Separator,
    Stranger,
    around,
    product,
)

WIDE_GAP = 1.6  # heights between fields
GAP, TIMES = 0.8, 2.5  # also a gap so many heights and so many times the row's usual one
NO_DIGIT = 0.5  # confidence below which ink that was not accepted is told as no digit
MARK = 0.38  # heights: a larger mark is none
LEAST_MARK = 0.011  # of the squared height: less ink is dirt
INNER = (0.05, 0.7)  # of a digit's width: a mark there is none
UNREAD = "?"  # in a field's text, where ink in it is no digit
POSTCODE = 5  # digits


@dataclass(slots=True)
class Read:
    """A blob that has been read: what it shows, from left to right, and the share of its cut among all."""

    row: int
    box: Box
    digits: list[Digit]
    share: float = 1.0

    @property
    def strange(self) -> bool:
        """Whether it is told as no digit."""
        return any(not digit.accepted and digit.confidence < NO_DIGIT for digit in self.digits)


def reading(
    reads: Sequence[Read],
    page: Page,
    strangers: list[Stranger],
    shrink: float,
    size: tuple[int, int],
    version: int | None,
    least: float,
) -> Reading:
    """All together; boxes of a page that was made smaller by `shrink` are those of the photo of this size."""
    lines = []
    strange = [*strangers, *(Stranger(read.box, "like no digit") for read in reads if read.strange)]
    for number, row in enumerate(page.rows):
        own = sorted(
            (read for read in reads if read.row == number), key=lambda read: read.box.x + read.box.w / 2
        )
        marks, others = _marks(row, own)
        strange += [Stranger(blob.box, "fainter than its row") for blob in row.faint]
        strange += [Stranger(blob.box, "too small for a digit") for blob in others]
        fields = [made for part in _parts(own, row.height) if (made := _field(part, marks, least))]
        if fields:
            lines.append(Line(around([each.box for each in fields]), tuple(fields)))
    whole = Reading(*size, tuple(lines), tuple(strange), version)
    return whole if shrink == 1 else _enlarged(whole, 1 / shrink)


def _parts(reads: list[Read], height: float) -> list[list[Read]]:
    """Reads of one row, parted at wide gaps."""
    if not reads:
        return []
    gaps = [right.box.x - left.box.x - left.box.w for left, right in itertools.pairwise(reads)]
    usual = float(np.median(gaps)) if len(gaps) > 2 else np.inf
    parts = [[reads[0]]]
    for read, gap in zip(reads[1:], gaps, strict=True):
        if gap > WIDE_GAP * height or (gap > GAP * height and gap > TIMES * usual):
            parts.append([])
        parts[-1].append(read)
    return parts


def _marks(row: Row, reads: list[Read]) -> tuple[list[Separator], list[Blob]]:
    """Small blobs: separators between digits, and others that are more than dirt."""
    height = row.height
    seen = [blob for blob in row.small if blob.area >= LEAST_MARK * height**2]
    seen.sort(key=lambda blob: blob.middle)
    marks: list[Separator] = []
    others = []
    while seen:
        blob = seen.pop(0)
        between = any(read.box.x + read.box.w / 2 < blob.middle for read in reads) and any(
            read.box.x + read.box.w / 2 > blob.middle for read in reads
        )
        between &= not any(_within(blob.middle, read.box) for read in reads)
        text = _mark(blob.box, row.middle_at(blob.middle), height) if between else ""
        if text in (".", "'") and seen and abs(seen[0].middle - blob.middle) < 0.2 * height:
            other = _mark(seen[0].box, row.middle_at(blob.middle), height)
            if {text, other} == {".", "'"}:  # one dot above another
                blob = Blob(around([blob.box, seen.pop(0).box]), blob.area, blob.parts)
                text = ":"
        if text in ("", "'"):
            others.append(blob)
        else:
            marks.append(Separator(blob.box, text))
    return marks, others


def _within(x: float, box: Box) -> bool:
    """Whether that is below or above a digit and not beside it: 7 may hang over a point at its right."""
    return box.x + INNER[0] * box.w < x < box.x + INNER[1] * box.w


def _mark(box: Box, middle: float, height: float) -> str:
    """One of . , - by size and place; ' for a dot that is too high; empty for none."""
    if box.h > MARK * height or box.w > 2 * MARK * height:
        return ""
    below = (box.y + box.h / 2 - middle) / height
    if box.w >= 1.8 * box.h:
        return "-" if abs(below) < 0.25 and box.w >= 0.15 * height else ""
    if below > 0.25:
        return "," if box.h > 1.5 * box.w or box.h > 0.28 * height else "."
    return "'" if below > -0.45 else ""


def _field(reads: list[Read], marks: list[Separator], least: float) -> Field | None:
    digits = [digit for read in reads if not read.strange for digit in read.digits]
    if not digits:
        return None
    first, last = reads[0].box, reads[-1].box
    own = [mark for mark in marks if first.x + first.w / 2 < _middle(mark.box) < last.x + last.w / 2]
    signs = [(_middle(digit.box), str(digit.digit)) for digit in digits]
    signs += [(_middle(read.box), UNREAD) for read in reads if read.strange]
    signs += [(_middle(mark.box), mark.text) for mark in own]
    text = "".join(sign for _, sign in sorted(signs, key=lambda pair: pair[0]))
    confidence = product([*(digit.confidence for digit in digits), *(read.share for read in reads)])
    sure = UNREAD not in text and all(digit.accepted for digit in digits) and confidence >= least
    box = around([read.box for read in reads])
    return Field(kind_of(text), text, confidence, sure, box, tuple(digits), tuple(own))


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


def _middle(box: Box) -> float:
    return box.x + box.w / 2


def _enlarged(made: Reading, by: float) -> Reading:
    def box(given: Box) -> Box:
        left, top = round(given.x * by), round(given.y * by)
        right, bottom = round((given.x + given.w) * by), round((given.y + given.h) * by)
        return Box(left, top, max(1, right - left), max(1, bottom - top))

    def field(given: Field) -> Field:
        digits = tuple(replace(each, box=box(each.box)) for each in given.digits)
        separators = tuple(replace(each, box=box(each.box)) for each in given.separators)
        return replace(given, box=box(given.box), digits=digits, separators=separators)

    lines = tuple(Line(box(line.box), tuple(map(field, line.fields))) for line in made.lines)
    strangers = tuple(replace(each, box=box(each.box)) for each in made.strangers)
    return replace(made, lines=lines, strangers=strangers)
