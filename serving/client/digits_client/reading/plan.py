"""Reads a photo as a plan: a generator that yields images and is sent the model's answer to them.

The caller asks a server, an event loop or a function; `digits_client.reading.reader` does.
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
from digits_client.reading import cuts, layout, ways
from digits_client.reading.blobs import Row
from digits_client.reading.crops import Patch, crop, extent, lean, patch
from digits_client.reading.layout import Read
from digits_client.reading.page import Page, page
from digits_client.reading.results import FIELD_CONFIDENCE, Box, Digit, Reading, Stranger
from digits_client.results import Answer, Prediction

Picture = NDArray[np.uint8]
Plan = Generator[NDArray[np.uint8], Answer[Prediction], Reading]

WORKING = 2_500_000  # pixels on which ink is looked for; larger photos are made smaller for it …
SMALLEST = 96  # … and those with less on their longer side larger
SURE = 0.995  # a blob read less surely may be digits that touch
WIDE = 1.1  # heights: a wider blob may be, however surely read
TOO_WIDE = 12  # heights: no row of digits that touch
STEEPEST, FEW = 0.5, 1.5  # tangent of lean that is believed at most; so many digits count half
MOST = 500  # blobs that are read; a page of scribble has more
SECONDS = 60.0  # that a photo may take: it has a few hundred strokes at most, and takes a second


@dataclass(slots=True)
class _Item:
    """A blob, what it was asked as, and what was answered."""

    row: int
    box: Box
    patch: Patch
    ratio: float  # its width, in heights of its row
    image: Picture  # what the model was asked
    read: Prediction


def plan(photo: Picture, least: float = FIELD_CONFIDENCE, seconds: float = SECONDS) -> Plan:
    """Return the Reading of a photo, uint8 [h, w] or [h, w, 3] (RGB), upright.

    Fields are accepted from `least` on. Raises BadRequest after `seconds`, answers included.
    """
    until = time.monotonic() + seconds
    height, width = photo.shape[:2]
    shrink = min(1.0, math.sqrt(WORKING / (height * width)))
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) if photo.ndim == 3 else photo
    if max(grey.shape) < SMALLEST:
        shrink = SMALLEST / max(grey.shape)
    if shrink != 1:
        how = cv2.INTER_AREA if shrink < 1 else cv2.INTER_CUBIC
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=how)
    found = page(grey)
    _check(until)
    asked, strangers = _items(found, until)
    if not asked:
        return layout.reading([], found, strangers, shrink, (width, height), None, least)
    images = np.stack([crop(each.ink) for _, _, each, _ in asked])
    answer = yield images
    items = [_Item(*item, image, read) for item, image, read in zip(asked, images, answer, strict=True)]
    doubtful = [item for item in items if _doubtful(item)]
    cut: dict[int, list[cuts.Piece]] = {}
    room = MOST * 4
    for item in doubtful:
        _check(until)
        if len(made := cuts.pieces(item.patch.ink)) > 1 and room >= len(made):
            cut[id(item)], room = made, room - len(made)
    parts: Sequence[Prediction] = ()
    if cut:
        images = np.stack([crop(piece.ink) for made in cut.values() for piece in made[:-1]])
        parts = (yield images).predictions
    reads, at = [], 0
    for item in items:
        made = cut.get(id(item), [])
        end = at + max(0, len(made) - 1)
        reads.append(_decided(item, made, [*parts[at:end], item.read], images[at:end]))
        at = end
    return layout.reading(reads, found, strangers, shrink, (width, height), answer.version, least)


def _check(until: float) -> None:
    if time.monotonic() > until:
        raise BadRequest("the picture holds too much to be read in time: take a photo of the digits alone")


def _items(found: Page, until: float) -> tuple[list[tuple[int, Box, Patch, float]], list[Stranger]]:
    asked: list[tuple[int, Box, Patch, float]] = []
    strangers = []
    for number, row in enumerate(found.rows):
        _check(until)
        tilt, height = row.tilt(), row.height
        leaning = _lean(found, row, tilt)
        for blob in row.blobs:
            if blob.box.w > TOO_WIDE * blob.box.h:
                strangers.append(Stranger(blob.box, "too wide for digits"))
            elif len(asked) == MOST:
                strangers.append(Stranger(blob.box, f"not read: more than {MOST} pieces of ink"))
            else:
                own = patch(found.strength, found.labels, blob, tilt, leaning)
                if extent(own.ink) is not None:
                    asked.append((number, blob.box, own, blob.box.w / _usual(row, blob.box.h, height)))
    return asked, strangers


def _lean(found: Page, row: Row, tilt: float) -> float:
    """By how much the row's writing leans; less is believed where there are few digits."""
    own = [blob for blob in row.blobs if blob.box.w <= WIDE * blob.box.h][:MOST]
    if not own:
        return 0.0
    leans = [lean(patch(found.strength, found.labels, blob, tilt).ink) for blob in own]
    return float(np.clip(np.median(leans), -STEEPEST, STEEPEST)) * len(own) / (len(own) + FEW)


def _usual(row: Row, own: int, typical: float) -> float:
    return typical if len(row.blobs) > 2 else float(own)


def _doubtful(item: _Item) -> bool:
    """Whether it may be digits that touch."""
    if item.read.confidence < SURE or item.ratio > WIDE:
        return True
    return ways.too_much(cuts.whole(item.patch.ink), item.read)


def _decided(item: _Item, made: list[cuts.Piece], answers: list[Prediction], images: Picture) -> Read:
    """made: the pieces of a doubtful blob, empty for others; answers: what each was read as, the whole last;
    images: uint8 [n, 28, 28], the pieces but for the whole, as they were asked.
    """
    whole = _digit(item.box, item.read, item.image)
    if not made:
        return Read(item.row, item.box, [whole])
    tall = max(made[-1].width, 0.05)
    way = ways.best(made, answers, item.ratio / tall)
    if way.pieces == (len(made) - 1,):
        return Read(item.row, item.box, [whole], way.share)
    digits = []
    for i in way.pieces:
        box = extent(made[i].ink)
        assert box is not None  # pieces without ink are not made
        digits.append(_digit(item.patch.place(box), answers[i], images[i], split=True))
    return Read(item.row, item.box, digits, way.share)


def _digit(box: Box, read: Prediction, image: Picture, *, split: bool = False) -> Digit:
    others = sorted(enumerate(read.probabilities), key=lambda pair: -pair[1])
    alternatives = tuple((digit, p) for digit, p in others if digit != read.digit)
    return Digit(box, read.digit, read.confidence, bool(read.accepted), alternatives, split, image.tobytes())
