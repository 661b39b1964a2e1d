"""The eighteen corruptions of the robustness table.

Severities are on pixels in [0, 1]. What the names leave open is settled here: signs and positions are drawn
for each image on its own, what a move uncovers is black, results are clipped to [0, 1] and rounded to uint8.
The idea of a fixed table: Hendrycks & Dietterich 2019 (arXiv:1903.12261), MNIST-C (arXiv:1906.02337); the
choice and the severities are this project's own and stay as they are, so that figures compare. The moves at
the top (rotate, scale, shear, shift) are shared with MNIST-C's corruptions in the bench.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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


def _gaussian_noise(images: Images, rng: np.random.Generator) -> Images:
    return images + np.float32(0.3) * rng.standard_normal(images.shape, dtype=np.float32)


def _impulse_noise(images: Images, rng: np.random.Generator) -> Images:
    """A tenth of the pixels: half of them white, half black."""
    draw = rng.random(images.shape, dtype=np.float32)
    return np.where(draw < 0.05, np.float32(1), np.where(draw < 0.10, np.float32(0), images))


def _blur(images: Images, _: np.random.Generator) -> Images:
    blurred: Images = ndimage.gaussian_filter(images, (0, 1.5, 1.5))
    return blurred


def _thick(images: Images, _: np.random.Generator) -> Images:
    thick: Images = ndimage.grey_dilation(images, size=(1, 3, 3))
    return thick


def _thin(images: Images, _: np.random.Generator) -> Images:
    thin: Images = ndimage.grey_erosion(images, size=(1, 2, 2))
    return thin


def _spatter(images: Images, rng: np.random.Generator) -> Images:
    """Blobs: smooth noise, in units of its standard deviation; 1.2 × what stands above 1.5 is added."""
    noise: Images = ndimage.gaussian_filter(
        rng.standard_normal(images.shape, dtype=np.float32), (0, 1.2, 1.2)
    )
    noise /= noise.std(axis=(1, 2), keepdims=True)
    blobs: Images = np.maximum(noise - np.float32(1.5), 0)
    return images + np.float32(1.2) * blobs


def _line(images: Images, rng: np.random.Generator) -> Images:
    """A white line 1.2 px wide from edge to edge, at any angle, within 4 px of the centre; soft edges."""
    angle = rng.uniform(0, np.pi, (len(images), 1, 1)).astype(np.float32)
    offset = rng.uniform(-4, 4, (len(images), 1, 1)).astype(np.float32)
    row, column = np.indices((SIZE, SIZE), dtype=np.float32) - np.float32(CENTRE)
    distance = np.abs(np.cos(angle) * row + np.sin(angle) * column - offset)
    ink: Images = np.clip(np.float32(0.6 + 0.5) - distance, 0, 1)
    return np.maximum(images, ink)


def _hole(images: Images, rng: np.random.Generator) -> Images:
    """5×5 black pixels anywhere inside the central 20×20, where MNIST's ink is."""
    top, left = (rng.integers(4, 20, (len(images), 1, 1)) for _ in range(2))
    row, column = np.indices((SIZE, SIZE))
    gone = (row >= top) & (row < top + 5) & (column >= left) & (column < left + 5)
    return np.where(gone, np.float32(0), images)


CORRUPTIONS: dict[str, Corruption] = {
    "shift": shift(4),
    "rotation_20": rotate(20),
    "rotation_30": rotate(30),
    "scale_down": scale(0.7),
    "scale_up": scale(1.3),
    "shear": either_way(lambda sign: [[1, 0], [sign * 0.4, 1]]),
    "gaussian_noise": _gaussian_noise,
    "impulse_noise": _impulse_noise,
    "blur": _blur,
    "dim": lambda images, _: images * np.float32(0.3),
    "bright": lambda images, _: images + np.float32(0.4),
    "low_contrast": lambda images, _: np.float32(0.35) + np.float32(0.3) * images,
    "inverted": lambda images, _: np.float32(1) - images,
    "thick": _thick,
    "thin": _thin,
    "spatter": _spatter,
    "line": _line,
    "hole": _hole,
}


def corrupt(name: str, images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """The images under one corruption of CORRUPTIONS: uint8 [n, 28, 28] → the same, a new array.

    Equal name, images and seed give equal pixels; each corruption draws from a stream of its own.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    pixels = CORRUPTIONS[name](images.astype(np.float32) / np.float32(255), rng)
    levels: Images = np.rint(np.clip(pixels, 0, 1) * np.float32(255))
    return levels.astype(np.uint8)
