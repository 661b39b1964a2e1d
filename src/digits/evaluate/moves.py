"""Digits → the same digits turned, scaled, sheared or shifted: what both tables of corruptions share.

What a move uncovers is black; signs are drawn for each image on its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [n, 28, 28] in [0, 1]; a corruption may leave the range, who applies it clips
Corruption = Callable[[Images, np.random.Generator], Images]
SIZE = 28
CENTRE = (SIZE - 1) / 2


def _signs(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return rng.choice(np.array([-1, 1]), n)


def _warp(images: Images, inverse: NDArray[np.float64]) -> Images:
    """Bilinear: the output at p, a (row, column) from the centre, is the input at inverse @ p."""
    grid = np.indices((SIZE, SIZE)).reshape(2, -1) - CENTRE
    source = inverse @ grid + CENTRE
    corner = np.floor(source).astype(np.intp)
    share = source - corner
    flat = images.reshape(len(images), SIZE * SIZE)
    result = np.zeros_like(flat)
    for row in (0, 1):
        for column in (0, 1):
            r, c = corner[0] + row, corner[1] + column
            weight = np.abs(1 - row - share[0]) * np.abs(1 - column - share[1])
            inside = (r >= 0) & (r < SIZE) & (c >= 0) & (c < SIZE)
            index = np.where(inside, r * SIZE + c, 0)
            result += flat[:, index] * np.where(inside, weight, 0.0).astype(np.float32)
    return result.reshape(images.shape)


def either_way(make: Callable[[int], list[list[float]]]) -> Corruption:
    """A corruption that warps each image with the inverse matrix of a random sign."""

    def apply(images: Images, rng: np.random.Generator) -> Images:
        signs = _signs(rng, len(images))
        result = np.empty_like(images)
        for sign in (-1, 1):
            result[signs == sign] = _warp(images[signs == sign], np.array(make(sign)))
        return result

    return apply


def rotate(degrees: float) -> Corruption:
    """Turns by `degrees`, either way."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return either_way(lambda sign: [[cos, sign * sin], [-sign * sin, cos]])


def scale(factor: float) -> Corruption:
    """Scales both axes by `factor`."""
    return lambda images, _: _warp(images, np.eye(2) / factor)


def shift(pixels: int) -> Corruption:
    """`pixels` up or down and `pixels` left or right: each image goes to one of the four diagonals."""

    def apply(images: Images, rng: np.random.Generator) -> Images:
        vertical, horizontal = _signs(rng, len(images)), _signs(rng, len(images))
        padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
        result = np.empty_like(images)
        for v in (-1, 1):
            for h in (-1, 1):
                rows = (vertical == v) & (horizontal == h)
                top, left = pixels - v * pixels, pixels - h * pixels
                result[rows] = padded[rows, top : top + SIZE, left : left + SIZE]
        return result

    return apply
