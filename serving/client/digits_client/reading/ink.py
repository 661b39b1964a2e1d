"""Measures how much ink lies where on a photo, with light and polarity evened out.

Ink is darker or lighter than a wide median of the photo, whichever more of it is. Its background is the photo
with all that is narrower than a window taken out of it: shadows and their edges stay, and strokes don't. How
much ink there is counts as a share of the background: half the light, half the contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SMALL = 256  # pixels of the longer side on which the background is estimated
WIDE, NARROW = 0.12, 0.04  # of the longer side: half the window, of a photo and of a sheet of writing
SMOOTH = 0.9  # pixels: standard deviation of the blur against noise
DARKEST = 32  # grey levels: a darker background counts as this one
UNIT = 160  # a difference as large as the background counts, at most
NOISE = 4.5  # standard deviations of noise: less is no ink
FAINTEST = 8  # of 255: less is no ink either
FAINT, FIRM = 0.25, 0.5  # shares of typical ink: strokes have the first everywhere and the second somewhere
TRIED = 1 << 17  # pixels looked at for levels
STROKE = 11  # pixels of a line that is 32 high: no stroke is as thick


@dataclass(frozen=True)
class Inked:
    """mask: uint8 [h, w], 255 on strokes, else 0. light: whether the strokes are lighter than the paper."""

    mask: Picture
    light: bool


def inked(grey: Picture, window: float = WIDE) -> Inked:
    """Return the ink of a photo, uint8 [h, w] of any polarity and light; empty ink if there is none.

    window: half the width of what is too wide for a stroke, as a share of the longer side.
    """
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTH)
    step = max(1, int((grey.size / TRIED) ** 0.5))
    some = np.ascontiguousarray(smooth[::step, ::step])
    small, half = _small(grey, window)
    median = _large(_median(small, half), some)
    both = _difference(median, some, median), _difference(some, median, median)
    least = _least(*both)
    light = bool(_above(both[1], least).sum() > _above(both[0], least).sum())
    ground = _large(_bare(small, half, light=light), smooth)
    off = float(np.median(cv2.subtract(ground[::step, ::step], some, dtype=cv2.CV_16S)))
    ground = cv2.add(ground, -off)  # in noise, the lightest and darkest places are no background
    ink = _difference(smooth, ground, ground) if light else _difference(ground, smooth, ground)
    paper = ground[::step, ::step]
    other = _difference(paper, some, paper) if light else _difference(some, paper, paper)
    threshold = _least(ink[::step, ::step], other)
    levels = _above(ink[::step, ::step], threshold)
    if not levels.size:
        return Inked(np.zeros_like(grey), False)
    otsu, _ = cv2.threshold(levels.reshape(1, -1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    full = max(1.0, float(np.median(levels[levels >= otsu])))
    faint = cv2.threshold(ink, max(threshold, FAINT * full), 255, cv2.THRESH_BINARY)[1]
    firm = ink > max(threshold, FIRM * full)
    _, labels = cv2.connectedComponents(faint, connectivity=8, ltype=cv2.CV_32S)
    kept = np.zeros(int(labels.max()) + 1, np.uint8)
    kept[labels[firm]] = 255
    kept[0] = 0
    return Inked(kept[labels], light)


def _difference(high: Picture, low: Picture, ground: Picture) -> Picture:
    """By how much one exceeds the other, in shares of the background; the most there is just fits a byte."""
    level, more = cv2.max(ground, DARKEST), cv2.subtract(high, low)
    step = max(1, int((ground.size / TRIED) ** 0.5))
    most = float(np.quantile(more[::step, ::step] / level[::step, ::step], 0.999))
    scale = min(UNIT, 250 / max(most, 1e-6))
    return np.asarray(cv2.divide(more, level, scale=scale), dtype=np.uint8)


def _least(ink: Picture, other: Picture) -> float:
    """From which level on a difference is ink and no noise."""
    noise = float(np.median(cv2.max(np.ascontiguousarray(ink), other)))
    return max(NOISE * 1.4826 * noise, FAINTEST)


def _small(grey: Picture, window: float) -> tuple[Picture, int]:
    """A small copy with a margin, and half the window in its pixels, which is the width of that margin."""
    height, width = grey.shape
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    half = max(1, round(window * max(size)))
    around = cv2.copyMakeBorder(small, half, half, half, half, cv2.BORDER_REPLICATE)
    return np.asarray(around, dtype=np.uint8), half


def _large(small: Picture, grey: Picture) -> Picture:
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _median(small: Picture, half: int) -> Picture:
    ground = cv2.medianBlur(small, 2 * half + 1)[half:-half, half:-half]
    return np.asarray(cv2.GaussianBlur(ground, (0, 0), half / 4), dtype=np.uint8)


def _bare(small: Picture, half: int, *, light: bool) -> Picture:
    """The small copy less strokes."""
    smooth = cv2.GaussianBlur(small, (0, 0), half / 12)
    kernel = np.ones((2 * half + 1, 2 * half + 1), np.uint8)
    ground = cv2.morphologyEx(smooth, cv2.MORPH_OPEN if light else cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.GaussianBlur(ground, (0, 0), half / 8)[half:-half, half:-half], dtype=np.uint8)


def _above(levels: Picture, threshold: float) -> NDArray[np.uint8]:
    return np.asarray(levels[levels > threshold])


def evened(line: Picture, light: bool) -> Picture:
    """The picture of a line of writing, uint8 [32, w], with dark strokes on paper without shadows."""
    dark = cv2.bitwise_not(line) if light else line
    paper = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((STROKE, STROKE), np.uint8))
    paper = cv2.GaussianBlur(cv2.max(paper, DARKEST), (0, 0), STROKE / 4)
    return np.asarray(cv2.divide(dark, paper, scale=float(np.median(paper))), dtype=np.uint8)
