"""Divides the mask of ink into pieces that may be digits or marks between them, in rows.

Sizes are counted in the height of a row's digits, so they hold for any photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading.results import Box, around

Picture = NDArray[np.uint8]
Labels = NDArray[np.int32]

LEAST = 6  # pixels of a digit's height
SPECK = 0.006  # of the squared height of a digit: less ink is dirt, not worth a word
TALL = 0.4  # of a row's height: lower pieces are parts of digits, marks or no digits
SAME_ROW = 0.4  # share of the lower one's height that neighbours in a row have in common
APART = 5.0  # heights between neighbours in a row, at most
OVER = 0.5  # share of the narrower piece's width that pieces of one digit have in common
WITHIN = 0.6  # share of the smaller piece's box that lies in the other's, if they are one digit
CLOSE = 0.07  # heights between pieces of one digit, in any direction
PASSES = 3
BROKEN = 0.3  # heights between pieces of one digit, at most
HALF = 0.35  # of a digit's height: of two pieces of one digit, one has it; the dots of a colon don't
TALLEST = 1.3  # heights of a digit, at most, in its row
# Pieces looked at, the largest first: each is compared with each, some µs a pair. Eight a digit on a page of
# digits; the photo of a lawn has more.
MOST = 1000


@dataclass(slots=True)
class Blob:
    """Ink that belongs together: `parts` are its numbers among the connected components."""

    box: Box
    area: int  # pixels of ink
    parts: list[int]

    @property
    def middle(self) -> float:
        """x of the box's middle."""
        return self.box.x + self.box.w / 2


@dataclass(slots=True)
class Row:
    """Blobs of a digit's size side by side, from left to right, and smaller ones between them."""

    blobs: list[Blob]
    small: list[Blob] = field(default_factory=list)
    faint: list[Blob] = field(default_factory=list)  # what is left of ruled lines
    lines_tilt: float = 0.0  # degrees of the ruled lines around it; 0 without any

    @property
    def height(self) -> float:
        """The height of its typical digit."""
        return float(np.median([blob.box.h for blob in self.blobs]))

    def tilt(self) -> float:
        """Degrees by which the row falls to the right: a line through the middles of its blobs."""
        if self.lines_tilt or len(self.blobs) < 3:
            return self.lines_tilt
        x = np.array([blob.middle for blob in self.blobs])
        y = np.array([blob.box.y + blob.box.h / 2 for blob in self.blobs])
        if np.ptp(x) < 3 * self.height:
            return 0.0
        return float(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))

    def middle_at(self, x: float, tilt: float | None = None) -> float:
        """y of the row's middle at x; tilt: of the row in degrees, where the caller knows it already."""
        tilt = self.tilt() if tilt is None else tilt
        near = min(self.blobs, key=lambda blob: abs(blob.middle - x))
        return near.box.y + near.box.h / 2 + (x - near.middle) * math.tan(math.radians(tilt))


def components(mask: Picture) -> tuple[Labels, list[Blob]]:
    """The connected pieces of a mask, at most `MOST`, and the number of its piece at each pixel."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    chosen = np.argsort(-areas, kind="stable")[:MOST] + 1
    found = [
        Blob(Box(*(int(v) for v in stats[i, :4])), int(stats[i, cv2.CC_STAT_AREA]), [int(i)])
        for i in chosen
        if stats[i, cv2.CC_STAT_AREA] >= 3
    ]
    return labels, found


def typical_height(blobs: list[Blob]) -> float:
    """Of the digits, in pixels: the median of the heights, where each counts as much as it has ink."""
    heights = np.array([blob.box.h for blob in blobs], dtype=float)
    order = np.argsort(heights)
    ink = np.cumsum(np.array([blob.area for blob in blobs])[order])
    return float(heights[order][np.searchsorted(ink, ink[-1] / 2)])


def rows(blobs: list[Blob]) -> tuple[list[Row], list[Blob]]:
    """(rows from top to bottom, specks and pieces far from any row). No blobs give no rows."""
    blobs = [blob for blob in blobs if blob.area >= SPECK * LEAST**2]
    if not blobs:
        return [], []
    typical = max(typical_height(blobs), LEAST)
    merged = _merged(blobs, typical)
    tall = [blob for blob in merged if blob.box.h >= max(TALL * typical, LEAST)]
    low = [blob for blob in merged if blob.box.h < max(TALL * typical, LEAST)]
    made = _chains(tall)
    for row in made:
        typical = row.height
        low += [blob for blob in row.blobs if blob.box.h < TALL * typical]
        row.blobs = [blob for blob in row.blobs if blob.box.h >= TALL * typical]
    left = []
    measured = [(row, row.height, row.tilt()) for row in made]  # once: there may be thousands of either
    for blob in low:
        near = [
            (abs(row.middle_at(blob.middle, tilt) - blob.box.y), number)
            for number, (row, height, tilt) in enumerate(measured)
            if _beside(row, height, tilt, blob)
        ]
        if near:
            made[min(near)[1]].small.append(blob)
        else:
            left.append(blob)
    made.sort(key=lambda row: (row.blobs[0].box.y + row.blobs[0].box.h / 2, row.blobs[0].box.x))
    return made, left


def _merged(blobs: list[Blob], typical: float) -> list[Blob]:
    """Pieces of one digit, as of a 5 whose bar stands off, as one."""
    made = [Blob(blob.box, blob.area, list(blob.parts)) for blob in blobs]
    for _ in range(PASSES):
        before = len(made)
        ordered, made = sorted(made, key=lambda blob: -blob.area), []
        for blob in ordered:
            other = next((each for each in made if _one_digit(each.box, blob.box, typical)), None)
            if other is None:
                made.append(blob)
            else:
                other.box = around([other.box, blob.box])
                other.area += blob.area
                other.parts += blob.parts
        if len(made) == before:
            break
    return made


def _one_digit(a: Box, b: Box, typical: float) -> bool:
    """Whether the larger and the smaller piece are of one digit."""
    height = max(typical, a.h)
    both = around([a, b])
    if height > 2.5 * typical or both.h > TALLEST * height:
        return False
    across = max(a.x, b.x) - min(a.x + a.w, b.x + b.w)  # gaps, negative where they overlap
    down = max(a.y, b.y) - min(a.y + a.h, b.y + b.h)
    if across < 0 and down < 0 and across * down >= WITHIN * min(a.w * a.h, b.w * b.h):
        return True
    if b.y + b.h / 2 > a.y + 0.75 * a.h and b.h < HALF * height and a.h > 2 * HALF * height:
        return False  # low and small: a point or a comma
    if max(across, down) <= CLOSE * typical and b.h < 0.6 * typical and both.w <= typical:
        return True
    over = -across >= OVER * min(a.w, b.w) and down <= BROKEN * height
    return over and max(a.h, b.h) >= HALF * typical


def _chains(blobs: list[Blob]) -> list[Row]:
    """Each blob joins the row whose last one is beside it."""
    made: list[Row] = []
    for blob in sorted(blobs, key=lambda blob: blob.middle):
        near = [row for row in made if _neighbours(row.blobs[-1].box, blob.box)]
        if near:
            max(near, key=lambda row: row.blobs[-1].middle).blobs.append(blob)
        else:
            made.append(Row([blob]))
    return made


def _neighbours(left: Box, right: Box) -> bool:
    common = min(left.y + left.h, right.y + right.h) - max(left.y, right.y)
    height = max(left.h, right.h)
    return common >= SAME_ROW * min(left.h, right.h) and right.x - left.x - left.w <= APART * height


def _beside(row: Row, height: float, tilt: float, blob: Blob) -> bool:
    first, last = row.blobs[0].box, row.blobs[-1].box
    if not first.x - height <= blob.middle <= last.x + last.w + height:
        return False
    return abs(blob.box.y + blob.box.h / 2 - row.middle_at(blob.middle, tilt)) <= 0.85 * height
