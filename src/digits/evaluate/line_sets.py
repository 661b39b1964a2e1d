"""The lines that the line reader is scored on: composed of test digits, and lines that hold no digit.

Each kind is drawn from its own stream, in several widths. Equal seeds and digits give equal lines.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digits import non_digits
from digits.dataset import Split
from digits.line_model.lines import HEIGHT, LONGEST, Lines
from digits.lines import compose
from digits.lines.compose import KINDS, Chances
from digits.lines.grounds import Grounds
from digits.styles import Points, stroke

Page = NDArray[np.uint8]
Draw = Callable[[np.random.Generator, Page], None]

WIDTHS = (64, 96, 128, 160)  # pixels; a quarter of the lines each
STYLED = 300  # of each digit that `digits.styles` draws, as for validation
OTHERS = 60  # pictures of each kind that lines without a digit are made of


def composed(n: int, seed: int, test: Split) -> dict[str, list[Lines]]:
    """`n` lines of test digits of each of `compose.KINDS`, by kind and width."""
    digits, grounds = compose.Digits(test, seed + 2000, styled=STYLED), _grounds(seed)
    return {
        kind: [
            compose.batch((seed, 2, _number(kind), width), count, digits, grounds, None, chances, width)
            for width, count in _shared_out(n)
        ]
        for kind, chances in KINDS.items()
    }


@dataclass(frozen=True)
class Without:
    """A kind of line that holds no digit: what is drawn on it, on which paper."""

    draw: Draw
    paper: Chances
    squared: float = 0.0  # of the papers with rules, the share that is squared


def without_digits(n: int, seed: int) -> dict[str, list[Lines]]:
    """`n` lines of each of WITHOUT, by kind and width. What is written on them no training has seen."""
    grounds = _grounds(seed)
    return {
        kind: [
            _lines(np.random.default_rng([seed, 3, _number(kind), width]), count, width, what, grounds)
            for width, count in _shared_out(n)
        ]
        for kind, what in _without(seed).items()
    }


def _lines(rng: np.random.Generator, n: int, width: int, what: Without, grounds: Grounds) -> Lines:
    images = np.empty((n, HEIGHT, width), np.uint8)
    for row in range(n):
        page = np.zeros((HEIGHT, width), np.uint8)
        what.draw(rng, page)
        images[row] = compose.on_paper(rng, page, grounds, what.paper, what.squared)
    return Lines(images, np.full((n, LONGEST), -1, np.int32), np.zeros(n, np.int32))


def _shared_out(n: int) -> list[tuple[int, int]]:
    ends = [n * place // len(WIDTHS) for place in range(len(WIDTHS) + 1)]
    return [(width, end - start) for width, start, end in zip(WIDTHS, ends, ends[1:], strict=False)]


def _grounds(seed: int) -> Grounds:
    return Grounds(np.random.default_rng([seed, 4]))


def _number(kind: str) -> int:
    return zlib.crc32(kind.encode())


def _without(seed: int) -> dict[str, Without]:
    plain, textured, mixed = KINDS["clean"], KINDS["textured"], KINDS["mixed"]
    pictures = {kind: _pasted(non_digits.make(kind, OTHERS, seed)) for kind in PICTURES}
    return {
        **{kind: Without(draw, mixed) for kind, draw in pictures.items()},
        "smileys": Without(_smiley, mixed),
        "empty": Without(_nothing, plain),
        "squared": Without(_nothing, replace(plain, ruled=1), squared=1),
        "texture": Without(_nothing, textured),
    }


PICTURES = ("letters", "scribbles", "figures")  # of `non_digits`, the family that no training sees
WITHOUT = (*PICTURES, "smileys", "empty", "squared", "texture")


def _nothing(rng: np.random.Generator, page: Page) -> None:
    pass


def _pasted(pictures: Page) -> Draw:
    """Draws one to as many of the pictures as there is room for, side by side."""

    def draw(rng: np.random.Generator, page: Page) -> None:
        side = pictures[0].shape[0]
        room = (page.shape[1] - 2) // side
        left = int(rng.integers(1, page.shape[1] - side))
        for _ in range(int(rng.integers(1, room + 1))):
            if left + side > page.shape[1]:
                break
            top = int(rng.integers(0, HEIGHT - side + 1))
            page[top : top + side, left : left + side] = pictures[int(rng.integers(len(pictures)))]
            left += side - int(rng.integers(0, 6))

    return draw


def _smiley(rng: np.random.Generator, page: Page) -> None:
    """A round face with two eyes and a mouth."""
    radius, pen = rng.uniform(9, 14), rng.uniform(1, 2.4)
    x, y = rng.uniform(radius + 1, page.shape[1] - radius - 1), HEIGHT / 2

    def arc(wide: float, tall: float, start: float, end: float, down: float = 0) -> Points:
        turns = np.linspace(start, end, 24)
        return [(x + wide * math.cos(t), y + down + tall * math.sin(t)) for t in turns]

    stroke(page, arc(radius, radius, 0, 2 * math.pi), pen)
    smile = rng.uniform(0.35, 0.6) * radius
    stroke(page, arc(smile, smile, 0.3, math.pi - 0.3, 0.1 * radius), pen)
    for side in (-1, 1):
        eye = (x + side * 0.38 * radius, y - 0.3 * radius)
        stroke(page, [eye, (eye[0], eye[1] + 0.12 * radius)], pen + 0.6)
