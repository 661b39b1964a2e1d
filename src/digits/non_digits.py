"""A kind and a seed → pictures that show no digit, as a reader of forms meets them; the model should refuse.

Core. uint8 [n, 28, 28] in MNIST's manner, by `digits.normalize`, as the `encoded` signature would see them.
Two families share no letter, font, figure or way to scribble: SEEN may be trained on or choose a threshold,
UNSEEN is only ever scored. Kinds that are made of digits are kept apart by the digits given: training images
for the one, test images for the other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from digits import doodles
from digits.dataset import Split
from digits.normalize import normalize

SEEN, UNSEEN = "seen", "unseen"
Images = NDArray[np.uint8]
Grey = NDArray[np.float32]

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
    "empty": doodles.empty,
    "noise": doodles.noise,
    "letters": doodles.letter,
    "scribbles": doodles.scribble,
    "figures": doodles.figure,
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
