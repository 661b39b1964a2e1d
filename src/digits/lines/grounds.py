"""Grounds of paper: the patterns that cheques, forms and cheap paper have behind the writing."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.float32]

TALL, WIDE = 64, 448  # pixels of a texture; a line takes a window of it
TEXTURES = 240


class Grounds:
    """A pool of textures, and windows cut from it."""

    def __init__(self, rng: np.random.Generator, n: int = TEXTURES) -> None:
        self._pool = [texture(rng, kind % len(KINDS)) for kind in range(n)]

    def window(self, rng: np.random.Generator, height: int, width: int) -> Texture:
        """A window of a random texture at a random scale, perhaps mirrored: float32 [height, width], mean
        near 0, mostly within ±1. width: at most 313."""
        whole = self._pool[rng.integers(len(self._pool))]
        zoom = rng.uniform(0.7, 1.4)
        tall, wide = min(TALL, int(height / zoom)), min(WIDE, int(width / zoom))
        top, left = rng.integers(TALL - tall + 1), rng.integers(WIDE - wide + 1)
        part = whole[top : top + tall, left : left + wide]
        part = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        turn = rng.random()
        if turn < 0.25:
            return part[::-1]
        return part[:, ::-1] if turn < 0.5 else part


KINDS = ("waves", "waves", "guilloche", "hatch", "cross-hatch", "grain", "dots", "moiré")


def texture(rng: np.random.Generator, kind: int) -> Texture:
    """One texture, float32 [TALL, WIDE], mean 0 and deviation 0.5, of a kind by its place in KINDS."""
    angle, period = rng.uniform(-0.25, 0.25), rng.uniform(2.2, 7)
    name = KINDS[kind]
    if name == "waves":
        made = _stripes(rng, angle, period, rng.uniform(0.3, 2), rng.uniform(1, 4))
    elif name == "guilloche":
        each = [(rng.uniform(-1.2, 1.2), rng.uniform(5, 14), rng.uniform(0.5, 2)) for _ in range(3)]
        made = np.sum([_stripes(rng, *one, 8) for one in each], axis=0)
    elif name == "hatch":
        steep = rng.uniform(0.4, 1.2) * rng.choice([-1, 1])
        made = _stripes(rng, steep, period, rng.uniform(0, 0.4), rng.uniform(1, 4))
    elif name == "cross-hatch":
        steep = rng.uniform(0.4, 1.2)
        made = _stripes(rng, steep, period, 0.2, 3) + _stripes(rng, -steep, period, 0.2, 3)
    elif name == "grain":
        grain = rng.standard_normal((TALL, WIDE), np.float32)
        made = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.4, 1.2))
    elif name == "dots":
        made = _stripes(rng, angle, period, 0.1, 2) * _stripes(rng, angle + math.pi / 2, period, 0.1, 2)
    else:
        other = _stripes(rng, angle + rng.uniform(-0.3, 0.3), period * rng.uniform(0.8, 1.2), 0.5, 2)
        made = _stripes(rng, angle, period, 0.5, 2) * (1 + 0.8 * other)
    made = made + rng.uniform(0, 0.3) * made.std() * rng.standard_normal((TALL, WIDE), np.float32)
    made = made - made.mean()
    return np.asarray(made / (2 * made.std() + 1e-6), np.float32)


def _stripes(rng: np.random.Generator, angle: float, period: float, bend: float, sharp: float) -> Texture:
    """Parallel lines, 0 to 1: `period` pixels apart, bent by `bend` periods, thinner the sharper."""
    y, x = np.mgrid[0:TALL, 0:WIDE].astype(np.float32)
    coarse = rng.standard_normal((4, 12), np.float32)
    field = cv2.resize(coarse, (WIDE, TALL), interpolation=cv2.INTER_CUBIC)
    across = x * math.sin(angle) + y * math.cos(angle) + bend * period * field
    return np.asarray((0.5 + 0.5 * np.cos(2 * np.pi * across / period)) ** sharp, np.float32)
