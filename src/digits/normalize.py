"""Makes a picture of one digit, of any size, 28×28 uint8 as MNIST's own pictures were made.

The `encoded` signature of the exported model repeats these steps as graph operations, so they are few,
exact and free of branches that a graph can't take. A picture is grey levels 0–255 as float32 [h, w]:

1. Grey. Colour becomes luma 0.299 R + 0.587 G + 0.114 B, unrounded. Transparent pixels show paper: white if
   the alpha-weighted mean luma is below 128 (dark ink), else black; luma·a + paper·(1 − a), a = alpha/255.
2. As is. A 28×28 picture that is MNIST's already is returned unchanged: the paper (step 3) is 0, and the
   centre of mass, in pixel indices, is within 1 of (14, 14) on both axes.
3. Paper = the upper median of the outermost ring of pixels (each once): sorted, the element at n // 2.
4. Polarity. d = grey − paper. Ink is max(d, 0) when Σ max(d, 0)² ≥ Σ max(−d, 0)², else max(−d, 0).
5. Contrast. `soft` = the 3×3 mean of ink, zeros outside the picture, when the picture's shorter side is at
   least 56, else ink itself: one hot pixel must not set the scale. peak = max(soft). Blank when peak < 10.
   ink ← clip((ink / peak − 0.15) / 0.85, 0, 1): paper grain goes to exactly 0, as in MNIST.
6. Crop to the rows and columns that hold some soft > 0.3 · peak.
7. Box. scale = 20 / longer side of the crop; each side becomes max(1, ⌊side · scale + 0.5⌋). Resize with the
   antialiased triangle filter (Pillow's BILINEAR, `tf.image.resize(…, "bilinear", antialias=True)`).
8. White. Divide by max(16th largest pixel, max / 4), clip to 1: a thin pen looks as MNIST's does.
9. Centre. The shift ⌊14 − centre of mass + 0.5⌋ on each axis, limited so that the box stays inside, places it
   on 28×28 zeros: the centre of mass of MNIST's pictures is at (14.0, 14.0) ± 0.5. Times 255, ⌊x + 0.5⌋.

The 20×20 box and the centre of mass: LeCun et al., "Gradient-based learning applied to document recognition",
Proc. IEEE 86(11), 1998, section III.A.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from digits.runtime.errors import DataError

SIDE, BOX, CENTRE = 28, 20, 14  # pixels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BLANK = 10.0  # grey levels of 255; less contrast than this is paper alone
SMOOTH_FROM = 56  # pixels of the shorter side; in a smaller picture a 3×3 mean would eat the strokes
FLOOR = 0.15  # of the peak; below it is paper
EDGE = 0.3  # of the peak; above it is inside the bounding box
WHITE_RANK = 16  # of the box's 400 pixels, a typical digit of MNIST has 60 that are fully white

Grey = NDArray[np.float32]


def normalize(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture of one digit as uint8 [28, 28], white ink on black.

    picture: uint8, uint16 or float [h, w] or [h, w, 1–4 channels]; floats are grey levels 0–255. Raises
    DataError when the picture is blank or not a picture.
    """
    grey = to_grey(picture)
    paper = _paper(grey)
    if grey.shape == (SIDE, SIDE) and paper == 0 and np.abs(_centre_of_mass(grey) - CENTRE).max() <= 1:
        return _bytes(grey)
    ink = _ink(grey, paper)
    soft = uniform_filter(ink, 3, mode="constant") if min(ink.shape) >= SMOOTH_FROM else ink
    peak = float(soft.max())
    if peak < BLANK:
        raise DataError(
            f"the picture is blank: its contrast is {peak:.0f} of 255 levels, expected {BLANK:.0f}"
        )
    ink = np.clip((ink / peak - FLOOR) / (1 - FLOOR), 0, 1)
    return _centred(_boxed(ink, soft > EDGE * peak))


def to_grey(picture: NDArray[Any]) -> Grey:
    """Grey levels 0–255, float32 [h, w], of a picture as `normalize` takes it (step 1)."""
    if picture.ndim not in (2, 3) or 0 in picture.shape or (picture.ndim == 3 and picture.shape[2] > 4):
        raise DataError(f"a picture is [h, w] or [h, w, 1 to 4 channels]; this is {list(picture.shape)}")
    levels = picture.astype(np.float32)
    if picture.dtype == np.uint16:
        levels /= 257
    if not np.isfinite(levels).all():
        raise DataError("the picture holds NaN or infinite values; expected grey levels 0–255")
    if levels.ndim == 2:
        return levels
    channels = levels.shape[2]
    luma: Grey = levels[..., :3] @ np.asarray(LUMA, np.float32) if channels >= 3 else levels[..., 0]
    if channels in (1, 3):
        return luma
    alpha: Grey = levels[..., -1] / np.float32(255)
    mean = float((luma * alpha).sum() / max(float(alpha.sum()), 1e-6))
    paper = np.float32(255 if mean < 128 else 0)
    return (luma * alpha + paper * (1 - alpha)).astype(np.float32)


def thumbnail(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the whole picture made small, uint8 [28, 28], uncropped: it shows what was refused."""
    grey = Image.fromarray(np.clip(to_grey(picture), 0, 255))
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR)).astype(np.uint8)


def _paper(grey: Grey) -> float:
    inner = np.zeros(grey.shape, dtype=bool)
    inner[1:-1, 1:-1] = True
    ring = np.sort(grey[~inner])
    return float(ring[len(ring) // 2])


def _ink(grey: Grey, paper: float) -> Grey:
    bright: Grey = np.maximum(grey - paper, 0)
    dark: Grey = np.maximum(paper - grey, 0)
    return bright if np.square(bright).sum() >= np.square(dark).sum() else dark


def _boxed(ink: Grey, inside: NDArray[np.bool_]) -> Grey:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(crop.shape)
    height, width = (max(1, int(np.floor(side * scale + 0.5))) for side in crop.shape)
    small = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BILINEAR))
    ranked = np.sort(small, axis=None)[::-1]
    kth = ranked[WHITE_RANK - 1] if len(ranked) >= WHITE_RANK else 0
    white: Grey = np.clip(small / max(kth, ranked[0] / 4, 1e-6), 0, 1)
    return white


def _centred(box: Grey) -> NDArray[np.uint8]:
    shift = np.floor(CENTRE - _centre_of_mass(box) + 0.5).astype(int)
    top, left = np.clip(shift, 0, [SIDE - box.shape[0], SIDE - box.shape[1]])
    image = np.zeros((SIDE, SIDE), dtype=np.float32)
    image[top : top + box.shape[0], left : left + box.shape[1]] = box
    return _bytes(image * 255)


def _bytes(levels: Grey) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.floor(levels + 0.5).astype(np.uint8)
    return rounded


def _centre_of_mass(grey: Grey) -> NDArray[np.float64]:
    """(row, column) in pixel indices; far outside any picture when there is no mass."""
    mass = float(grey.sum(dtype=np.float64))
    if mass <= 0:
        return np.array([-1e6, -1e6])
    rows, columns = grey.sum(axis=1, dtype=np.float64), grey.sum(axis=0, dtype=np.float64)
    return np.array([rows @ np.arange(len(rows)), columns @ np.arange(len(columns))]) / mass
