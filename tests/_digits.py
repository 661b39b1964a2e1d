"""Synthetic digits like MNIST's, made in the fixture that needs them: legible, varied, easy to learn."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono", "cmr10", "STIXGeneral")
BIG = 72  # pixels of a template's side; the digit itself is about 48 high


def digits(n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return `n` images uint8 [n, 28, 28], white on black, and labels uint8 [n]; classes as equal as n
    allows.

    Each is a glyph of one of six fonts in one of three weights, distorted by a random quadrilateral, fitted
    into a 20×20 box and centred by its mass. Same n and seed, same bytes; other seeds, other images.
    """
    images, labels = _drawn(n, seed)
    return images.copy(), labels.copy()


@cache
def _drawn(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng([seed, 20])
    labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    images = np.zeros((n, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row] = _draw(_template(int(label), int(rng.integers(len(FONTS))), int(rng.integers(3))), rng)
    return images, labels


@cache
def _template(label: int, font: int, weight: int) -> Image.Image:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{FONTS[font]}.ttf"
    picture = Image.new("L", (BIG, BIG))
    face = ImageFont.truetype(path, 64)
    ImageDraw.Draw(picture).text((BIG / 2, BIG / 2), str(label), fill=255, font=face, anchor="mm")
    return picture.filter(ImageFilter.MaxFilter(1 + 2 * weight))


def _draw(template: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    angle = np.deg2rad(rng.uniform(-10, 10))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * BIG / 2  # the order that PIL's QUAD wants
    quad = corners @ turn.T + rng.uniform(-5, 5, size=(4, 2)) + BIG / 2
    bent = template.transform(
        (BIG, BIG), Image.Transform.QUAD, quad.ravel().tolist(), Image.Resampling.BILINEAR
    )
    bent = bent.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
    box = bent.point(lambda value: 255 * (value > 60)).getbbox()
    assert box is not None
    scale = 20 / max(box[2] - box[0], box[3] - box[1])
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    small = np.asarray(bent.resize(size, Image.Resampling.BOX, box=box), dtype=np.float32)
    small = np.clip((small - 40) * 255 / (small.max() - 40), 0, 255).astype(np.uint8)  # MNIST: black is 0
    ys, xs = np.nonzero(small)
    mass = small[ys, xs].astype(float)
    top = int(np.clip(round(14 - float(np.average(ys, weights=mass))), 0, 28 - small.shape[0]))
    left = int(np.clip(round(14 - float(np.average(xs, weights=mass))), 0, 28 - small.shape[1]))
    image = np.zeros((28, 28), dtype=np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


def stripes() -> NDArray[np.uint8]:
    """Return a hundred images of stripes, which no font or library draws: for results that must stay."""
    return (np.arange(100 * 784, dtype=np.int64) ** 2 // 97 % 256).astype(np.uint8).reshape(100, 28, 28)


def summary(images: NDArray[Any]) -> tuple[float, float]:
    """Return the mean square and a weighted sum of images of 0 to 1.

    No hash: other processors round the last bit otherwise.
    """
    values = images.ravel().astype(float)
    return float(np.mean(values**2)), float(values @ np.cos(np.arange(values.size)))
