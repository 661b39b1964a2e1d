"""Makes of a piece of ink the 28×28 pixels that the model takes: white on black, the digit in 20×20."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading.blobs import Blob, Labels
from digits_client.reading.results import Box

Picture = NDArray[np.uint8]

SIDE, INNER = 28, 20
HEIGHT = 64  # pixels of a patch
PAD = 2  # pixels around a blob's box that are looked at for faint edges
LEVEL, UPRIGHT = 1.0, 0.05  # degrees of tilt, and tangent of lean, that are left as they are
STROKE = 1.7  # pixels of a stroke in 20×20, at least: pens are thinner on large digits than MNIST's
INKED = 90  # grey levels of 255 that count for the extent


@dataclass(frozen=True, slots=True)
class Patch:
    """Ink, upright, `HEIGHT` pixels high or so: uint8 [h, w]; and the affine map [2, 3] back to the photo."""

    ink: Picture
    back: NDArray[np.float64]

    def place(self, box: Box) -> Box:
        """The box in the photo around this one in the patch."""
        x, y = np.array([box.x, box.x + box.w]) - 0.5, np.array([box.y, box.y + box.h]) - 0.5
        corners = np.array([[x[i], y[j]] for i in (0, 1) for j in (0, 1)])
        found = corners @ self.back[:, :2].T + self.back[:, 2] + 0.5
        (left, top), (right, bottom) = found.min(axis=0), found.max(axis=0)
        return Box(round(left), round(top), max(1, round(right - left)), max(1, round(bottom - top)))


def patch(strength: Picture, labels: Labels, blob: Blob, tilt: float = 0.0, lean: float = 0.0) -> Patch:
    """The blob's own ink, turned back by `tilt` degrees, and then set upright by `lean`.

    Pixels at its edge, too faint for the mask, are kept: strokes stay smooth.
    """
    box = blob.box
    top, left = max(0, box.y - PAD), max(0, box.x - PAD)
    region = np.s_[top : box.y + box.h + PAD, left : box.x + box.w + PAD]
    numbers = labels[region]
    own = np.isin(numbers, blob.parts) if len(blob.parts) > 1 else numbers == blob.parts[0]
    wide = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8))
    wide[(numbers > 0) & ~own] = 0
    ink = strength[region] * wide
    before = np.array(ink.shape[::-1], dtype=float)
    scale = HEIGHT / box.h
    if scale < 1:
        size = np.maximum(1, np.round(before * scale)).astype(int)
        ink = cv2.resize(ink, size.tolist(), interpolation=cv2.INTER_AREA)
    height, width = ink.shape
    turn = np.radians(tilt if abs(tilt) >= LEVEL else 0.0)
    grown = max(1.0, scale)
    lean = lean if abs(lean) >= UPRIGHT else 0.0
    cos, sin = np.cos(turn), np.sin(turn)
    forward = np.zeros((2, 3))
    forward[:, :2] = grown * np.array([[1.0, lean], [0.0, 1.0]]) @ np.array([[cos, sin], [-sin, cos]])
    size = np.ceil(np.abs(forward[:, :2]) @ [width, height]).astype(int)
    forward[:, 2] = (size - 1) / 2 - forward[:, :2] @ [(width - 1) / 2, (height - 1) / 2]
    if turn or lean or grown > 1:
        ink = cv2.warpAffine(ink, forward, size.tolist(), flags=cv2.INTER_LINEAR)
    back = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
    back *= (before / [width, height])[:, None]
    back[:, 2] += [left, top]
    return Patch(np.asarray(ink, dtype=np.uint8), back)


def lean(ink: Picture) -> float:
    """By how much the ink leans to the right, as a tangent: from its second moments."""
    found = cv2.moments(ink)
    return -float(found["mu11"] / found["mu02"]) if found["mu02"] > 0 else 0.0


def extent(ink: Picture) -> Box | None:
    """Where there is ink; None where there is none."""
    x, y, w, h = cv2.boundingRect((ink > INKED).astype(np.uint8))
    return Box(x, y, w, h) if w and h else None


def crop(ink: Picture) -> Picture:
    """Return a patch, or a part of one, as uint8 [28, 28], centred by its mass; all 0 without ink."""
    made = np.zeros((SIDE, SIDE), np.uint8)
    box = extent(ink)
    if box is None:
        return made
    ink = ink[box.y : box.y + box.h, box.x : box.x + box.w]
    scale = INNER / max(box.w, box.h)
    ink = _thickened(ink, scale)
    size = (max(1, round(box.w * scale)), max(1, round(box.h * scale)))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = _place(small.sum(axis=1)), _place(small.sum(axis=0))
    made[top : top + size[1], left : left + size[0]] = small
    return made


def _place(sums: NDArray[np.int64]) -> int:
    """Where rows or columns begin so that their centre of mass is in the middle, as far as they fit."""
    centre = float(sums @ (np.arange(len(sums)) + 0.5)) / max(1.0, float(sums.sum()))
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(sums)))


def _thickened(ink: Picture, scale: float) -> Picture:
    solid = (ink > INKED).astype(np.uint8)
    deep = cv2.distanceTransform(cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    ridge = deep[deep > 0.6 * deep.max()] if deep.max() > 0 else deep
    missing = STROKE / scale - 2 * float(np.median(ridge))
    if missing < 1:
        return ink
    side = 1 + 2 * round(missing / 2)
    return np.asarray(
        cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), dtype=np.uint8
    )
