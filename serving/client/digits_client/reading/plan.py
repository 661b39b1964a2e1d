"""Reads a photo as a plan: a generator that yields lines and is sent the model's answer to them.

The caller asks a server, an event loop or a function; `digits_client.reading.reader` does. All lines of a
photo are one question. Where nothing is likely, a second one has the photo turned, and without its sheets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.errors import BadRequest
from digits_client.reading.constraints import Format, format_of
from digits_client.reading.layout import Placed, fields, rows
from digits_client.reading.lines import Check, Crop, crops
from digits_client.reading.results import Field, Line, Reading, Unread
from digits_client.reading.sheet import Sheet, sheets
from digits_client.results import Answer, LinePrediction

Picture = NDArray[np.uint8]
Said = list[Placed | Unread]
Plan = Generator[list[Picture], Answer[LinePrediction], Reading]

WORKING = 1_250_000  # pixels on which writing is looked for; larger photos are made smaller for it …
SMALLEST = 96  # … and those with less on their longer side larger
MOST = 200  # lines in a question
BETTER = 2.0  # a photo that was turned, or a strip line by line, must say so many times as much
SECONDS = 60.0  # that a photo may take: it takes a tenth of a second


@dataclass(frozen=True, slots=True)
class _View:
    """What a way to hold the photo says."""

    lines: tuple[Line, ...]
    unread: tuple[Unread, ...]

    @property
    def fields(self) -> list[Field]:
        return [field for line in self.lines for field in line.fields]

    @property
    def accepted(self) -> bool:
        """Whether a field of several digits is: a lone one often reads the same however the photo is held."""
        return any(field.accepted and len(field.digits) > 1 for field in self.fields)

    @property
    def settled(self) -> bool:
        """Whether there is no need to turn the photo: turned it could hardly say BETTER times as much."""
        digits = sum(len(field.digits) for field in self.fields if len(field.digits) > 1)
        likely = digits > 0 and BETTER * self.worth >= digits
        return self.accepted or likely or (not self.unread and any(field.accepted for field in self.fields))

    @property
    def worth(self) -> float:
        """Of how many digits it is sure, but for lone ones."""
        return sum(each.confidence * len(each.digits) for each in self.fields if len(each.digits) > 1)


def plan(
    photo: Picture, least: float | None = None, seconds: float = SECONDS, form: str | None = None
) -> Plan:
    """Return the Reading of a photo, uint8 [h, w] or [h, w, 3] (RGB).

    Fields are accepted from `least` on, or as the model says. Raises BadRequest after `seconds`, answers
    included, and for a format that is none.
    """
    until = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > until:
            raise BadRequest(
                "the picture holds too much to be read in time: take a photo of the digits alone"
            )

    wanted = None if form is None else format_of(form)
    height, width = photo.shape[:2]
    grey = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) if photo.ndim == 3 else photo, dtype=np.uint8)
    whole = _working(grey)
    check()
    found = sheets(whole.picture, whole.place)
    first = [_crops(found, grey, check, MOST)]
    if not any(first[0]):
        return Reading(width, height, (), (), None)
    answer = yield _pictures(first)
    (best,) = _views(first, answer, (width, height), least, wanted)
    if not best.settled:
        turned = [found]
        for _ in range(3):
            turned.append([sheet.turned() for sheet in turned[-1]])
        ways = [*turned[1:], [whole]] if found[0].found else turned[1:]
        if width > height and any(crop.whole for own in first[0] for crop in own):
            ways = [turned[2]]  # a strip stands on its head, if at all: on its side it would be a column
        others = [_crops(way, grey, check, MOST // len(ways)) for way in ways]
        if any(map(any, others)):
            second = yield _pictures(others)
            for view in _views(others, second, (width, height), least, wanted):
                if view.accepted and view.worth > BETTER * best.worth:
                    best = view
    return Reading(width, height, best.lines, best.unread, answer.version)


def _working(grey: Picture) -> Sheet:
    """The photo in the size on which it is looked at."""
    height, width = grey.shape
    scale = min(1.0, math.sqrt(WORKING / (height * width)))
    if max(grey.shape) < SMALLEST:
        scale = SMALLEST / max(grey.shape)
    if scale == 1:
        return Sheet(grey, np.eye(3))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)
    across, down = width / size[0], height / size[1]
    place = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    return Sheet(picture, place)


def _crops(found: Sequence[Sheet], grey: Picture, check: Check, most: int) -> list[list[Crop]]:
    """For each sheet what may be its lines, at most so many together."""
    made: list[list[Crop]] = []
    for sheet in found:
        made.append(crops(sheet, grey, check, most))
        most -= len(made[-1])
    return made


def _pictures(ways: Sequence[Sequence[Sequence[Crop]]]) -> list[Picture]:
    return [crop.picture for way in ways for own in way for crop in own]


def _views(
    ways: Sequence[Sequence[Sequence[Crop]]],
    answer: Answer[LinePrediction],
    size: tuple[int, int],
    least: float | None,
    form: Format | None,
) -> list[_View]:
    answers = iter(answer)
    made = []
    for way in ways:
        lines: list[Line] = []
        unread: list[Unread] = []
        for own in way:
            said = _said(own, [fields(crop, next(answers), size, least, form) for crop in own])
            lines += rows([each for each in said if isinstance(each, Placed)])
            unread += [each for each in said if isinstance(each, Unread)]
        made.append(_View(tuple(lines), tuple(unread)))
    return made


def _said(own: Sequence[Crop], answers: Sequence[Said]) -> Said:
    """What a sheet says: line by line, or as a whole where that is about as sure."""
    lines = [said for crop, said in zip(own, answers, strict=True) if not crop.whole]
    together = [each for said in lines for each in said]
    whole = [said for crop, said in zip(own, answers, strict=True) if crop.whole]
    if not whole or not _digits(whole[0]):
        return together
    more = _digits(together) > _digits(whole[0])
    if more and _sure(together) > BETTER * _sure(whole[0]):  # specks are many, but never all sure
        return together
    closer = max(lines, key=_digits, default=[])
    if _digits(closer) >= _digits(whole[0]) and _sure(closer) > BETTER * _sure(whole[0]):
        return closer
    return whole[0]


def _sure(said: Said) -> float:
    return math.prod(each.field.confidence for each in said if isinstance(each, Placed))


def _digits(said: Said) -> int:
    return sum(len(each.field.digits) for each in said if isinstance(each, Placed))
