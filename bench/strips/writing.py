"""Handwriting as ink: digits of a data set or of strokes, thick or thin, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.dataset import Split

Floats = NDArray[np.float32]
Ink = Floats  # [h, w], 0 paper to 1 full ink
FINE = 3  # times enlarged, a digit is thinned


@dataclass(frozen=True)
class Number:
    """What was written, and where."""

    text: str
    box: tuple[int, int, int, int]  # x, y, w, h in the picture


@dataclass(frozen=True)
class Photo:
    """A picture's file and the truth about it."""

    data: bytes
    numbers: tuple[Number, ...]  # from top to bottom, from left to right


def encoded(picture: NDArray[np.generic], quality: int | None = None) -> bytes:
    """Return the file of a grey, RGB or RGBA picture of 0–255: a JPEG of that quality, or a PNG."""
    stream = io.BytesIO()
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    image.save(stream, "JPEG" if quality else "PNG", quality=quality)
    return stream.getvalue()


def floats(values: Any) -> Floats:
    """Return an array of float32."""
    return np.asarray(values, dtype=np.float32)


def extent(ink: Ink, least: float = 0.3) -> tuple[int, int, int, int]:
    """Return x, y, w, h of the ink that is at least so dark."""
    x, y, w, h = cv2.boundingRect((ink > least).astype(np.uint8))
    return int(x), int(y), int(w), int(h)


def cut(ink: NDArray[np.floating]) -> Ink:
    """Return ink without the empty paper around it."""
    x, y, w, h = extent(floats(ink), 0.02)
    return floats(ink[y : y + h, x : x + w])


def numerals(rng: np.random.Generator, n: int) -> str:
    """Return n digits at random."""
    return "".join(map(str, rng.integers(0, 10, n)))


def chosen(split: Split, text: str, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Return an image of each digit of a text, drawn at random."""
    return [split.images[rng.choice(np.flatnonzero(split.labels == int(sign)))] for sign in text]


def digit(
    image: NDArray[np.uint8], height: float, rng: np.random.Generator, pen: float = 0.0, lean: float = 0.0
) -> Ink:
    """Return an image of MNIST (uint8 [28, 28], white on black) as ink so high, cut to its extent.

    pen: width of the stroke in heights; 0: as it is. lean: of the writing, to the right, as a tangent.
    """
    picture = _distance(image) if pen else image.astype(np.float32) / 255
    scale = height / 20 * 28 / len(picture)
    lean += rng.normal(0, 0.03)
    side, middle = round(2.1 * height), (len(picture) - 1) / 2
    forward = np.array([[scale, -lean * scale, 0], [0, scale, 0]])
    forward[:, 2] = (side - 1) / 2 - forward[:, :2] @ [middle, middle]
    outside = float(picture.max()) if pen else 0.0
    way = cv2.INTER_LINEAR if pen else cv2.INTER_CUBIC
    large = cv2.warpAffine(picture, forward, (side, side), flags=way, borderValue=outside)
    if pen:
        return cut(np.clip(max(pen * height, 1.2) / 2 - scale * large + 0.5, 0, 1))
    return cut(np.clip((large - 0.5) * rng.uniform(1, 3) + 0.5, 0, 1) * (large > 0.1))


def _distance(image: NDArray[np.uint8]) -> Floats:
    """Return how far each pixel of the enlarged image is from the middle of the stroke.

    A loop that ran full of ink stays full, as deep inside it as a stroke is thick.
    """
    size = (28 * FINE, 28 * FINE)
    large = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), (0, 0), FINE / 2)
    mask = large > 80
    depth = cv2.GaussianBlur(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), (0, 0), 0.8)
    ridge = mask & (depth > cv2.dilate(depth, np.ones((3, 3))) - 0.35)
    full = np.where(mask, np.maximum(2 * np.median(depth[mask]) - depth, 0), np.inf)
    away = np.minimum(cv2.distanceTransform((~ridge).astype(np.uint8), cv2.DIST_L2, 5), full)
    return floats(cv2.GaussianBlur(away, (0, 0), FINE / 2))


def row(
    inks: Sequence[Ink], height: float, rng: np.random.Generator, spacing: float = 0.2,
    touches: Sequence[bool] | NDArray[np.bool_] = (), pitch: float = 0.0,
) -> Ink:  # fmt: skip
    """Return digits side by side on one line.

    spacing: the gap of neighbours in heights. touches: of each pair whether they touch; none by default.
    pitch: pixels from middle to middle, for boxes; 0: neighbours follow each other.
    """
    lefts = [0]
    for i, (left, right) in enumerate(pairwise(inks)):
        gap = -rng.uniform(1, 1 + 0.06 * height) if len(touches) and touches[i] else max(
            3, height * rng.normal(spacing, 0.3 * spacing))  # fmt: skip
        boxed = pitch * (i + 1 + rng.normal(0, 0.03)) + (inks[0].shape[1] - right.shape[1]) / 2
        lefts.append(round(boxed) if pitch else lefts[-1] + _clear(left, right) + round(gap))
    rises = [round(abs(rng.normal(0, 0.04)) * height) for _ in inks]
    places = [(x - min(lefts), up, ink) for x, up, ink in zip(lefts, rises, inks, strict=True)]
    size = max(up + len(ink) for _, up, ink in places), max(x + ink.shape[1] for x, _, ink in places)
    upside = np.zeros(size, np.float32)  # counted from the bottom, where they stand
    for x, up, ink in places:
        there = upside[up : up + len(ink), x : x + ink.shape[1]]
        np.maximum(there, ink[::-1], out=there)
    return floats(upside[::-1])


def _clear(left: Ink, right: Ink) -> int:
    """Return how far right of the left digit's edge the right one must be so that no row of both overlaps."""
    rows = min(len(left), len(right))  # they stand on the same line, so rows count from the bottom
    ends = [on[-1] + 1 if (on := np.flatnonzero(line > 0.4)).size else -999 for line in left[-rows:]]
    starts = [on[0] if (on := np.flatnonzero(line > 0.4)).size else 999 for line in right[-rows:]]
    return max(0, *(int(end - start) for end, start in zip(ends, starts, strict=True)))
