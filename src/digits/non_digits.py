"""Pictures that show no digit, as a reader of forms meets them; the model should refuse them.

`make` draws uint8 [n, 28, 28] in MNIST's manner, by `digits.normalize`, as the `encoded` signature would see
them. Two families share no letter, font, figure or way to scribble: SEEN may be trained on or choose a
threshold, UNSEEN is only ever scored. Kinds that are made of digits are kept apart by the digits given:
training images for the one, test images for the other.

The functions at the top draw one picture each, float32 [h, w], 0–255, white on black, of any size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter

from digits.dataset import Split
from digits.normalize import normalize

Grey = NDArray[np.float32]
Points = NDArray[np.float64]  # [points, (x, y)] in a unit square
Line = list[tuple[float, float]]  # ditto

SIDE, MARGIN = 96, 18  # pixels of a picture, and of its edge that a drawing begins with
BODY = 60  # of a letter, in pixels
PEN = (5, 11)  # width in pixels: MNIST's is 2 or 3 of 28

# digit → the letters that can be read as it, by hand or in print; they are in neither family
LEFT_OUT = {"0": "ODQo", "1": "IJijl", "2": "Zz", "4": "Yhy", "5": "Ss", "6": "Gb", "8": "B", "9": "Pagpq"}
LETTERS = {True: "ACEHKNUXceknux", False: "FLMRTVWdfmrtvw"}
OWN = "Pillow's own"  # the others come with matplotlib
FONTS = {
    True: ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono-Bold", "STIXGeneral", "STIXGeneralItalic", "cmr10"),
    False: ("DejaVuSerif-BoldItalic", "DejaVuSansMono-Oblique", "STIXGeneralBol", "cmss10", "cmtt10", OWN),
}

# A circle is a 0, an empty box is one in a hurry, and a lone line is a 1: none of them is here.
_BOX: Line = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
_STAR: Line = [(0.5, 0), (0.79, 0.9), (0.02, 0.35), (0.98, 0.35), (0.21, 0.9), (0.5, 0)]
FIGURES: dict[bool, dict[str, list[Line]]] = {
    True: {
        "cross": [[(0, 0), (1, 1)], [(0, 1), (1, 0)]],
        "triangle": [[(0.5, 0), (1, 0.9), (0, 0.9), (0.5, 0)]],
        "arrow both ways": [
            [(0, 0.5), (1, 0.5)],
            [(0.25, 0.2), (0, 0.5), (0.25, 0.8)],
            [(0.75, 0.2), (1, 0.5), (0.75, 0.8)],
        ],
        "box of four": [_BOX, [(0.5, 0), (0.5, 1)], [(0, 0.5), (1, 0.5)]],
        "equals": [[(0, 0.3), (1, 0.3)], [(0, 0.7), (1, 0.7)]],
    },
    False: {
        "plus": [[(0.5, 0), (0.5, 1)], [(0, 0.5), (1, 0.5)]],
        "check": [[(0, 0.55), (0.35, 1), (1, 0)]],
        "arrow": [[(0, 0.5), (1, 0.5)], [(0.65, 0.2), (1, 0.5), (0.65, 0.8)]],
        "crossed box": [_BOX, [(0, 0), (1, 1)], [(0, 1), (1, 0)]],
        "star": [_STAR],
        "hash": [[(0.3, 0), (0.3, 1)], [(0.7, 0), (0.7, 1)], [(0, 0.3), (1, 0.3)], [(0, 0.7), (1, 0.7)]],
    },
}


def letter(rng: np.random.Generator, *, seen: bool) -> Grey:
    """A printed letter, upright, slanted or turned, thin or fat."""
    sign = str(rng.choice(list(LETTERS[seen])))
    font = _font(str(rng.choice(FONTS[seen])))
    page = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(page).text((SIDE / 2, SIDE / 2), sign, fill=255, font=font, anchor="mm")
    page = page.filter(ImageFilter.MaxFilter(1 + 2 * int(rng.integers(4))))
    slant, turn = rng.uniform(-0.25, 0.25), np.deg2rad(rng.uniform(-12, 12))
    a, b = np.cos(turn), np.sin(turn) + slant
    matrix = (a, b, SIDE / 2 * (1 - a - b), -np.sin(turn), a, SIDE / 2 * (1 - a + np.sin(turn)))
    return _softened(
        page.transform(page.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR), rng
    )


@cache
def _font(name: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if name == OWN:
        return ImageFont.load_default(BODY)
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}.ttf", BODY)


def scribble(rng: np.random.Generator, *, seen: bool) -> Grey:
    """Seen: one smooth tangle. Unseen: two or three loose curves, hatching, or a spiral of three turns."""
    if seen:
        return _drawn([_curve(rng.uniform(size=(int(rng.integers(9, 13)), 2)))], rng)
    manner = rng.integers(3)
    if manner == 0:
        return _drawn([_curve(rng.uniform(size=(5, 2))) for _ in range(int(rng.integers(2, 4)))], rng)
    if manner == 1:
        n = int(rng.integers(7, 11))
        across = np.column_stack([np.linspace(0, 1, n), np.arange(n) % 2])
        return _drawn([across + rng.normal(0, 0.06, across.shape)], rng)
    turns = np.linspace(0, 2 * np.pi * 3, 90)
    radius = 0.5 * turns / turns[-1]
    start = rng.uniform(0, 2 * np.pi)
    spiral = 0.5 + np.column_stack([radius * np.cos(turns + start), radius * np.sin(turns + start)])
    return _drawn([spiral], rng)


def figure(rng: np.random.Generator, *, seen: bool) -> Grey:
    """A figure of FIGURES by an unsteady hand."""
    name = str(rng.choice(list(FIGURES[seen])))
    lines = [np.asarray(line) for line in FIGURES[seen][name]]
    turn, slant = np.deg2rad(rng.uniform(-12, 12)), rng.uniform(-0.2, 0.2)
    bent = np.array([[np.cos(turn), -np.sin(turn) + slant], [np.sin(turn), np.cos(turn)]])
    return _drawn([(line - 0.5) @ bent.T + 0.5 + rng.normal(0, 0.03, line.shape) for line in lines], rng)


def noise(rng: np.random.Generator, *, seen: bool) -> Grey:
    """Seen: even or bell-shaped grain. Unseen: single white pixels, blobs, stripes."""
    side = int(rng.integers(24, 80))
    manner = rng.integers(2) if seen else 2 + rng.integers(3)
    levels: NDArray[Any]
    if manner == 0:
        levels = rng.uniform(0, 255, (side, side))
    elif manner == 1:
        levels = rng.normal(0, 80, (side, side))
    elif manner == 2:
        levels = 255.0 * (rng.random((side, side)) < rng.uniform(0.02, 0.3))
    elif manner == 3:
        blobs = gaussian_filter(rng.normal(size=(side, side)), side / rng.uniform(8, 20))
        levels = 255 * (blobs / blobs.std() - 0.3)
    else:
        angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 8)
        row, column = np.indices((side, side)) / side
        along = row * np.cos(angle) + column * np.sin(angle)
        levels = 255.0 * (np.cos(2 * np.pi * waves * along) > 0.2)
    return np.clip(levels, 0, 255).astype(np.float32)


def empty(rng: np.random.Generator, *, seen: bool) -> Grey:
    """Nearly nothing, [28, 28]. Seen: faint grain, the edge of a page. Unseen: one level, a shade, dust."""
    page = np.zeros((28, 28), np.float32)
    if seen:
        if rng.random() < 0.5:
            return np.clip(rng.normal(0, rng.uniform(1, 8), page.shape), 0, 255).astype(np.float32)
        page[:, : int(rng.integers(1, 4))] = rng.uniform(40, 255)
        return np.rot90(page, int(rng.integers(4))).copy()
    manner = rng.integers(3)
    if manner == 0:
        return page + np.float32(rng.choice([0, rng.uniform(0, 255)]))
    if manner == 1:
        shade = np.linspace(rng.uniform(0, 60), rng.uniform(60, 160), 28, dtype=np.float32)
        return np.rot90(page + shade, int(rng.integers(4))).copy()
    for _ in range(int(rng.integers(1, 4))):
        page[tuple(rng.integers(0, 28, 2))] = rng.uniform(30, 255)
    return page


def _curve(knots: Points) -> Points:
    steps = np.linspace(0, len(knots) - 1, 12 * len(knots))
    smooth: Points = CubicSpline(np.arange(len(knots)), knots)(steps)
    return smooth


def _drawn(lines: list[Points], rng: np.random.Generator) -> Grey:
    page = Image.new("L", (SIDE, SIDE))
    pen, width = ImageDraw.Draw(page), int(rng.integers(*PEN))
    for line in lines:
        dots = np.clip(MARGIN + (SIDE - 2 * MARGIN) * line, 2, SIDE - 3)
        pen.line([(x, y) for x, y in dots.tolist()], fill=255, width=width, joint="curve")
    return _softened(page, rng)


def _softened(page: Image.Image, rng: np.random.Generator) -> Grey:
    return np.asarray(page.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2))), dtype=np.float32)


SEEN, UNSEEN = "seen", "unseen"
Images = NDArray[np.uint8]

# (digit, end that is kept) which by itself is no digit. Others are: the lower half of a 9 is a 1, the upper
# half of many a 4 too, of an 8 a 0, of a 7 a 7. A few are left: half of a slanted, narrow 0 is a 1.
HALVES = ((0, "top"), (0, "bottom"), (3, "bottom"), (5, "top"))
KEPT = 0.45  # of the height
GAP = (1, 6)  # pixels between two digits
BRIGHT = 128  # grey levels that a digit must reach somewhere to be taken


def _two(rng: np.random.Generator, digits: Split) -> Grey:
    left, right = (_ink(digits.images[i]) for i in rng.integers(len(digits), size=2))
    height = max(len(left), len(right)) + 4
    page = np.zeros((height, left.shape[1] + right.shape[1] + int(rng.integers(*GAP)) + 4), np.float32)
    for ink, column in ((left, 2), (right, page.shape[1] - 2 - right.shape[1])):
        top = (height - len(ink)) // 2
        page[top : top + len(ink), column : column + ink.shape[1]] = ink
    return page


def _half(rng: np.random.Generator, digits: Split) -> Grey:
    allowed = np.flatnonzero(np.isin(digits.labels, [digit for digit, _ in HALVES]))
    if not len(allowed):
        raise ValueError("half_digits are made of the digits 0, 3 and 5, and none of them is given")
    row = rng.choice(allowed)
    sides = [side for digit, side in HALVES if digit == digits.labels[row]]
    ink = _ink(digits.images[row])
    kept = max(1, int(KEPT * len(ink)))
    return np.pad(ink[:kept] if rng.choice(sides) == "top" else ink[-kept:], 2)


def _ink(image: Images) -> Grey:
    """The image cropped to its strokes, so that each part of it holds some."""
    strokes = image >= BRIGHT / 2
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)


_DRAWN: dict[str, Callable[..., Grey]] = {
    "empty": empty,
    "noise": noise,
    "letters": letter,
    "scribbles": scribble,
    "figures": figure,
}
_OF_DIGITS: dict[str, Callable[[np.random.Generator, Split], Grey]] = {
    "two_digits": _two,
    "half_digits": _half,
}
KINDS = (*_DRAWN, *_OF_DIGITS)


def make(kind: str, n: int, seed: int, digits: Split | None = None, family: str = UNSEEN) -> Images:
    """`n` pictures of one of KINDS. Equal arguments give equal pixels; each kind draws from its own stream.

    digits: of all labels; needed by two_digits and half_digits, which pass over those without ink. Raises
    ValueError when there are none to make them of, and for an unknown kind or family.
    """
    if kind not in KINDS or family not in (SEEN, UNSEEN):
        raise ValueError(f"no {kind!r} of family {family!r}: kinds are {KINDS}, families {SEEN}, {UNSEEN}")
    rng = np.random.default_rng([seed, zlib.crc32(f"{kind} {family}".encode())])
    if kind in _OF_DIGITS:
        if digits is None or not (bright := digits.images.max(axis=(1, 2), initial=0) >= BRIGHT).any():
            raise ValueError(f"{kind} are made of digits, and none with ink are given")
        inked = digits.take(bright)
        pictures = [_OF_DIGITS[kind](rng, inked) for _ in range(n)]
    else:
        pictures = [_DRAWN[kind](rng, seen=family == SEEN) for _ in range(n)]
    # `normalize` refuses a blank picture; a client who sends pixels has nobody to refuse it.
    made = [p.astype(np.uint8) if kind == "empty" else normalize(p) for p in pictures]
    return np.stack(made) if made else np.empty((0, 28, 28), np.uint8)


def every(n: int, seed: int, digits: Split, family: str = UNSEEN) -> dict[str, Images]:
    """`n` pictures of each kind."""
    return {kind: make(kind, n, seed, digits, family) for kind in KINDS}
