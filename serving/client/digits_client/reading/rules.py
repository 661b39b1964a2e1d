"""Finds ruled lines and boxes: how far they tilt, and the ink without them.

A ruled line is a run of ink longer than any stroke of a digit. Where a stroke crosses it the stroke is kept:
what has ink on both sides of the line is closed again.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

LONG = 0.3  # of the photo's width: a run of ink that only a ruled line has
STEEPEST = 20.0  # degrees of tilt that are looked for
TRIED = 900  # pixels of the longer side on which lines are looked for
SHORTEST = 40  # pixels
FILLED = 0.85  # share of a line that is ink
HOLE = 9  # pixels that a line may be broken
THICKEST, SLOPE = 12, 0.015  # pixels of a ruled line, and by how much it may still fall


def tilt(mask: Picture) -> float:
    """Degrees by which ruled lines fall to the right; 0 where there are none."""
    scale = min(1.0, TRIED / max(mask.shape))
    small = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else mask
    thin = cv2.threshold(small, 64, 255, cv2.THRESH_BINARY)[1]
    length = LONG * small.shape[1]
    found = cv2.HoughLinesP(thin, 1, np.pi / 720, int(0.6 * length), minLineLength=length, maxLineGap=4)
    if found is None:
        return 0.0
    ends = found.reshape(-1, 4).astype(np.float64)
    across, down = ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]
    angles = np.degrees(np.arctan2(down, across))
    flat = np.abs(angles) < STEEPEST
    return float(np.median(angles[flat])) if flat.any() else 0.0


def lines(mask: Picture) -> tuple[Picture, Picture]:
    """(horizontal, vertical) ruled lines of a straightened mask: uint8 [h, w], 255 on them."""
    horizontal, vertical = np.zeros_like(mask), np.zeros_like(mask)
    length = max(SHORTEST, round(LONG * mask.shape[1]))
    thick = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    full = cv2.threshold(cv2.blur(thick, (length, 1)), 255 * FILLED, 255, cv2.THRESH_BINARY)[1]
    if not cv2.countNonZero(full):
        return horizontal, vertical
    full = cv2.bitwise_and(cv2.dilate(full, np.ones((3, length), np.uint8)), thick)
    full = cv2.morphologyEx(full, cv2.MORPH_CLOSE, np.ones((1, HOLE), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(full, connectivity=8, ltype=cv2.CV_32S)
    found = []
    for i in range(1, count):
        x, y, w, h, _ = (int(each) for each in stats[i])
        if w >= 1.25 * length and h <= THICKEST + SLOPE * w:
            found.append((x, y, w, h))
            horizontal[y : y + h, x : x + w][labels[y : y + h, x : x + w] == i] = 255
    for upper, lower in _pairs(found):
        left, right = max(upper[0], lower[0]), min(upper[0] + upper[2], lower[0] + lower[2])
        left, right = max(0, left - 3), right + 3
        top, bottom = upper[1] + upper[3], lower[1]
        side = cv2.dilate(mask[top:bottom, left:right], np.ones((1, 3), np.uint8))
        columns = side.mean(axis=0) >= 255 * FILLED
        vertical[upper[1] : lower[1] + lower[3], left:right][:, columns] = 255
    return horizontal, vertical


def _pairs(found: list[tuple[int, int, int, int]]) -> list[tuple[Any, Any]]:
    """Lines one above the other with none between: perhaps the upper and lower sides of boxes."""
    pairs = []
    for upper in found:
        below = [
            each
            for each in found
            if each[1] - upper[1] - upper[3] >= SHORTEST / 2
            and min(upper[0] + upper[2], each[0] + each[2]) - max(upper[0], each[0])
            >= 0.6 * min(upper[2], each[2])
        ]
        if below:
            pairs.append((upper, min(below, key=lambda each: each[1])))
    return pairs


def without(mask: Picture, horizontal: Picture, vertical: Picture) -> Picture:
    """The mask less these lines, with strokes that cross them kept whole."""
    rest = mask
    for ruled, across in ((horizontal, True), (vertical, False)):
        if ruled.any():
            rest = _crossed(rest, ruled, across)
    return rest


def _crossed(mask: Picture, ruled: Picture, across: bool) -> Picture:
    thickness = _thickness(ruled, across)
    edge = np.ones((3, 1) if across else (1, 3), np.uint8)
    gone = cv2.bitwise_and(cv2.dilate(ruled, edge), mask)
    rest = cv2.subtract(mask, gone)
    reach = thickness + 5
    kernel = np.ones((reach, 1) if across else (1, reach), np.uint8)
    closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.bitwise_or(rest, cv2.bitwise_and(closed, mask)), dtype=np.uint8)


def _thickness(ruled: Picture, across: bool) -> int:
    """Pixels of a typical line's thickness."""
    on = ruled > 0
    counts = on.sum(axis=0 if across else 1)
    starts = (
        (on[1:] & ~on[:-1]).sum(axis=0) + on[0]
        if across
        else (on[:, 1:] & ~on[:, :-1]).sum(axis=1) + on[:, 0]
    )
    crossed = starts > 0
    return max(1, round(float(np.median(counts[crossed] / starts[crossed])))) if crossed.any() else 1
