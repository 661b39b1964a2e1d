"""Measures how much ink lies where on a photo, with light and polarity evened out.

The background is a wide median of the photo, so slow changes of light are in it and strokes are not. Ink is
what differs from it, to the side (darker or lighter) on which more does, as a share of the background: half
the light, half the contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SMALL = 256  # pixels of the longer side on which the background is estimated
WINDOW = 0.12  # of the longer side: half the width of its median
SMOOTH = 0.9  # pixels: standard deviation of the blur against noise
DARKEST = 32  # grey levels: a darker background counts as this one
UNIT = 160  # a difference as large as the background counts, at most
NOISE = 4.5  # standard deviations of noise: less is no ink
FAINTEST = 8  # of 255: less is no ink either
FAINT, FIRM = 0.25, 0.5  # shares of typical ink: strokes have the first everywhere and the second somewhere
TRIED = 1 << 17  # pixels looked at for levels


@dataclass(frozen=True)
class Inked:
    """strength: uint8 [h, w], 0 paper to 255 full ink. mask: uint8 [h, w], 255 on strokes, else 0; faint:
    the same and what is as faint as strokes are at their faintest."""

    strength: Picture
    mask: Picture
    faint: Picture


def inked(grey: Picture) -> Inked:
    """Return the ink of a photo, uint8 [h, w] of any polarity and light; empty ink if there is none."""
    ground = background(grey)
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTH)
    level = cv2.max(ground, DARKEST)
    step = max(1, int((grey.size / TRIED) ** 0.5))
    both = [
        cv2.divide(each, level, scale=_unit(each[::step, ::step], level[::step, ::step]))
        for each in (cv2.subtract(ground, smooth), cv2.subtract(smooth, ground))
    ]
    tried = [each[::step, ::step] for each in both]
    noise = 1.4826 * float(np.median(cv2.max(*map(np.ascontiguousarray, tried))))
    threshold = max(NOISE * noise, FAINTEST)
    side = 0 if _above(tried[0], threshold).sum() >= _above(tried[1], threshold).sum() else 1
    ink, levels = both[side], _above(tried[side], threshold)
    if not levels.size:
        nothing = np.zeros_like(grey)
        return Inked(nothing, nothing, nothing)
    otsu, _ = cv2.threshold(levels.reshape(1, -1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    full = max(1.0, float(np.median(levels[levels >= otsu])))
    faint = cv2.threshold(ink, max(threshold, FAINT * full), 255, cv2.THRESH_BINARY)[1]
    firm = ink > max(threshold, FIRM * full)
    _, labels = cv2.connectedComponents(faint, connectivity=8, ltype=cv2.CV_32S)
    kept = np.zeros(int(labels.max()) + 1, np.uint8)
    kept[labels[firm]] = 255
    kept[0] = 0
    return Inked(cv2.convertScaleAbs(ink, alpha=255 / full), kept[labels], faint)


def _unit(difference: Picture, level: Picture) -> float:
    """What a difference as large as the background counts, so that the most ink there is just fits a byte."""
    most = float(np.quantile(difference / level, 0.999))
    return min(UNIT, 250 / max(most, 1e-6))


def background(grey: Picture) -> Picture:
    """The paper without its ink, uint8 [h, w]."""
    height, width = grey.shape
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    half = round(WINDOW * max(size))
    around = cv2.copyMakeBorder(small, half, half, half, half, cv2.BORDER_REPLICATE)
    ground = cv2.medianBlur(around, 2 * half + 1)[half : half + size[1], half : half + size[0]]
    ground = cv2.GaussianBlur(ground, (0, 0), half / 4)
    return np.asarray(cv2.resize(ground, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _above(levels: Picture, threshold: float) -> NDArray[np.uint8]:
    return np.asarray(levels[levels > threshold])
