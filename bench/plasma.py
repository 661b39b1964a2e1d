"""Plasma: the rough, cloudy height maps of the diamond-square algorithm (Fournier et al. 1982)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]  # [n, side, side]
MARGIN = 1  # points of the coarse grid before the window, and after what covers it
COARSE = 5  # doublings that make the whole map's coarse grid: 32 points a side, 8 pixels apart
FINE = 3  # more that make its pixels: 256 a side


def plasma(n: int, size: int, decay: float, rng: np.random.Generator) -> Maps:
    """`n` windows of `size` pixels, ≤ 28, a side from the corners of as many maps of 256: in [0, 1].

    Each doubling of the grid adds noise `decay`² times weaker than the last. A map's least and greatest
    height, 0 and 1, are those of its every eighth pixel and of the window: others are not computed.
    """
    heights, spread = np.zeros((n, 1, 1), np.float32), 1.0
    for _ in range(COARSE):
        heights = _doubled(heights, spread, rng)
        spread /= decay**2
    low, high = heights.min(axis=(1, 2)), heights.max(axis=(1, 2))
    # A doubling takes the opposite edge for the neighbour of an edge: right for a whole map. In the window's
    # part of one, the margin keeps what is wrong there away from the window.
    points = np.arange(-MARGIN, -(-size // 2**FINE) + 2 * MARGIN)
    heights = heights[:, points[:, None], points]
    for _ in range(FINE):
        heights = _doubled(heights, spread, rng)
        spread /= decay**2
    first = MARGIN * 2**FINE
    window = heights[:, first : first + size, first : first + size]
    low = np.minimum(low, window.min(axis=(1, 2)))[:, None, None]
    high = np.maximum(high, window.max(axis=(1, 2)))[:, None, None]
    maps: Maps = (window - low) / (high - low)
    return maps


def _doubled(heights: Maps, spread: float, rng: np.random.Generator) -> Maps:
    """[n, k, k], its edges joined → [n, 2 k, 2 k]: new points are means of four neighbours, and noise."""
    n, k, _ = heights.shape

    def new(total: Maps) -> Maps:
        return total / 4 + np.float32(spread) * (2 * rng.random((n, k, k), dtype=np.float32) - 1)

    right, below = np.roll(heights, -1, axis=2), np.roll(heights, -1, axis=1)
    middle = new(heights + right + below + np.roll(right, -1, axis=1))
    doubled = np.empty((n, 2 * k, 2 * k), np.float32)
    doubled[:, ::2, ::2], doubled[:, 1::2, 1::2] = heights, middle
    doubled[:, ::2, 1::2] = new(heights + right + middle + np.roll(middle, 1, axis=1))
    doubled[:, 1::2, ::2] = new(heights + below + middle + np.roll(middle, 1, axis=2))
    return doubled
