"""What lies around the digits of a strip: ruled lines or boxes, paper, light and camera. Pure."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.float32]  # [h, w], 0 paper to 1 full ink


def ruled(
    size: tuple[int, int],
    ruling: str,
    margin: int,
    base: int,
    height: int,
    pitch: float,
    n: int,
    rng: np.random.Generator,
) -> Ink:
    """Lines across the page, or a comb of n boxes; nothing on plain paper. float32 of `size`."""
    ink = np.zeros(size, np.float32)
    thick = max(1, round(float(rng.uniform(0.02, 0.05)) * height))
    strength = float(rng.uniform(0.35, 0.9))
    if ruling == "lines":
        first = base + round(float(rng.uniform(-0.03, 0.12)) * height)
        for y in (first - round(1.6 * height), first, first + round(1.6 * height)):
            cv2.line(ink, (0, y), (size[1], y), strength, thick)
    elif ruling == "boxes":
        room = (pitch - height) / 2
        top, bottom = round(base - height - room), round(base + room)
        for x in (round(margin + pitch * i) for i in range(n + 1)):
            cv2.line(ink, (x, top), (x, bottom), strength, thick)
        for y in (top, bottom):
            cv2.line(ink, (margin, y), (round(margin + pitch * n), y), strength, thick)
    return ink


def photographed(digits: Ink, lines: Ink, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Ink and lines of digits so high, on paper, in some light, by a camera. uint8 [h, w, 3], RGB."""
    board = rng.random() < 1 / 7  # chalk
    paper = rng.uniform(20, 70) if board else rng.uniform(165, 250)
    ink = paper + rng.uniform(90, 170) if board else paper - rng.uniform(80, min(170, paper - 10))
    tint = rng.normal(0, 6, 3)
    ground = np.full((*digits.shape, 3), paper, np.float32) + tint.astype(np.float32)
    for layer, colour in (
        (lines, ink + rng.normal(0, 15, 3)),
        (digits, ink + rng.normal(0, 15, 3)),
    ):
        share = layer[..., None]
        ground = ground * (1 - share) + colour.astype(np.float32) * share
    blur = rng.uniform(0, 0.02) * height
    if blur > 0.3:
        ground = cv2.GaussianBlur(ground, (0, 0), blur)
    ground = ground * _light(digits.shape, rng)[..., None]
    grain = rng.normal(0, 1, digits.shape)[..., None] * 0.8 + rng.normal(0, 1, ground.shape) * 0.6
    noisy = ground + rng.uniform(1, 9) * grain
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _light(size: tuple[int, ...], rng: np.random.Generator) -> Ink:
    """1 at the brightest place, less elsewhere: a slope, and for one in two the soft edge of a shadow."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y
    across = (across - across.min()) / np.ptp(across)
    light = 1 - rng.uniform(0, 0.5) * across
    if rng.random() < 0.5:
        turned = across if rng.random() < 0.5 else 1 - across
        light *= 1 - rng.uniform(0.1, 0.4) / (1 + np.exp(-(turned - rng.uniform(0.3, 0.7)) / 0.05))
    return np.asarray(light, dtype=np.float32)
