"""Facts of grey images: how their grey levels and their ink lie.

`validate` writes its rules in them, `export` keeps what they are among the training images, and the servers
log them of each image that they are asked about, so that monitoring compares the two and keeps no picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# stroke is not among the columns that a data set is compared with its reference by (digits.validate.table)
FACTS = (
    "low",
    "high",
    "contrast",
    "mean",
    "ink",
    "levels",
    "left",
    "top",
    "width",
    "height",
    "centre_x",
    "centre_y",
    "polarity",
    "stroke",
)


def facts(images: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    """Facts of uint8 [n, h, w], an array [n] for each name of `FACTS`.

    low, high, contrast, mean: grey levels, 0–255; contrast = high − low.
    ink: share of pixels lighter than half-way from low to high, 0–1.
    levels: number of distinct grey levels.
    left, top, width, height: box of what is lighter than low, pixels; (0, 0, 0, 0) of a blank image.
    centre_x, centre_y: centre of mass above low, pixels from the left and top pixel's middle. None is NaN.
    polarity: mean of the inside − mean of the outermost ring, grey levels; negative when black on white.
    stroke: mean width of the strokes, pixels: twice the ink's area over the length of its outline, where the
    outline is counted as pixel sides, which are longer than a slanted line by up to √2.
    """
    n, tall, wide = images.shape
    area = tall * wide
    flat = images.reshape(n, area)
    low, high = flat.min(axis=1, initial=255), flat.max(axis=1, initial=0)
    contrast = high.astype(np.int64) - low
    seen = np.zeros((n, 256), dtype=bool)
    seen[np.arange(n)[:, None], flat] = True
    total = flat.sum(axis=1, dtype=np.int64)
    ink = images > (low + contrast / 2).astype(np.uint8)[:, None, None]
    drawn = images > low[:, None, None]
    left, width = _extent(drawn.any(axis=1))
    top, height = _extent(drawn.any(axis=2))
    base = low.astype(np.int64)[:, None]
    weights = np.maximum(total - low.astype(np.int64) * area, 1)
    inside = images[:, 1:-1, 1:-1].sum(axis=(1, 2), dtype=np.int64)
    n_inside = max(tall - 2, 0) * max(wide - 2, 0)
    n_inked = ink.sum(axis=(1, 2), dtype=np.int64)
    return {
        "low": low.astype(np.int64),
        "high": high.astype(np.int64),
        "contrast": contrast,
        "mean": total / area,
        "ink": n_inked / area,
        "levels": seen.sum(axis=1),
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "centre_x": ((images.sum(axis=1, dtype=np.int64) - base * tall) @ np.arange(wide)) / weights,
        "centre_y": ((images.sum(axis=2, dtype=np.int64) - base * wide) @ np.arange(tall)) / weights,
        "polarity": inside / max(n_inside, 1) - (total - inside) / max(area - n_inside, 1),
        "stroke": 2 * n_inked / np.maximum(_outline(ink), 1),
    }


def _outline(ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many pixel sides part ink from ground or from the edge, bool [n, h, w]."""
    sides = (ink[:, 1:] != ink[:, :-1]).sum(axis=(1, 2)) + (ink[:, :, 1:] != ink[:, :, :-1]).sum(axis=(1, 2))
    edges = ink[:, (0, -1)].sum(axis=(1, 2)) + ink[:, :, (0, -1)].sum(axis=(1, 2))
    return np.asarray(sides + edges, np.int64)


def _extent(lines: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first line with ink, lines from the first to the last) of bool [n, lines]; (0, 0) where none has."""
    first = lines.argmax(axis=1)
    last = lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    some = lines.any(axis=1)
    return np.where(some, first, 0), np.where(some, last - first + 1, 0)
