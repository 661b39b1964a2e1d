"""Draws the cases that readers of photos have failed on, each with its truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from bench.strips.desk import Rng, clouds, coloured
from bench.strips.scenes import field, filled, lay, posed
from bench.strips.strokes import STYLES, Stroke, drawn, one, ring
from bench.strips.writing import Ink, Number, Photo, chosen, digit, encoded, extent, floats, numerals, row
from digits.dataset import Split


def graph_paper(_: Split, rng: Rng) -> Photo:
    """Return empty graph paper whose black or grey lines run off the picture."""
    (h, w), (top, left) = rng.integers(500, 1300, 2), rng.integers(0, 56, 2)
    y, x = np.arange(h)[:, None] + top, np.arange(w) + left
    line = np.minimum(y % 56, x % 56) < rng.integers(1, 4)
    picture = np.where(line, rng.choice([0, 90, 140, 175]), rng.integers(238, 256))
    return Photo(encoded(picture, None if rng.random() < 0.5 else 90), ())


def transparent(split: Split, rng: Rng) -> Photo:
    """Return white or ivory ink on a ground that is not there, as drawing programs save it."""
    text = numerals(rng, int(rng.integers(1, 7)))
    ink = np.pad(_written(split, text, rng.uniform(35, 90), rng), 25)
    colour = ((255, 255, 255), (255, 250, 225))[rng.integers(2)]
    picture = np.zeros((*ink.shape, 4), np.float32)
    picture[..., :3] = colour if rng.random() < 0.5 else floats(colour) * (ink > 0)[..., None]
    picture[..., 3] = 255 * ink
    return Photo(encoded(picture), (Number(text, extent(ink)),))


def tight(split: Split, rng: Rng, grain: bool = False) -> Photo:
    """Return a few digits 30 pixels high, cut out close to the ink, on clean paper or on grey with grain."""
    text = (numerals(rng, 5), "7777", "505")[rng.choice(3, p=(0.6, 0.2, 0.2))]
    ink = np.pad(_written(split, text, 30, rng), int(rng.integers(1, 5)))
    picture = 150 - 90 * ink + rng.normal(0, 12, ink.shape) if grain else 255 * (1 - ink)
    return Photo(encoded(picture), (Number(text, extent(ink)),))


def long_flag(split: Split, rng: Rng) -> Photo:
    """Return 100 whose 1 has a flag of 0.65 heights and more, or one at 35° to the stem."""
    flag, degrees = (rng.uniform(0.65, 0.8), rng.uniform(30, 45)) if rng.random() < 0.5 else (0.5, 35)
    height, pen = rng.uniform(35, 80), rng.uniform(0.07, 0.12)
    first = drawn(one(flag, degrees), height, rng, pen)
    zeros = [digit(image, 0.95 * height, rng, pen) for image in chosen(split, "00", rng)]
    ink = np.pad(row([first, *zeros], height, rng, rng.uniform(0.12, 0.25)), 20)
    return _on_paper(ink, "100", rng)


def comma(split: Split, rng: Rng) -> Photo:
    """Return a number of thousands with a comma of 0.3 to 0.4 heights after its first digit."""
    text, height, pen = numerals(rng, 4), rng.uniform(35, 80), rng.uniform(0.07, 0.12)
    below = ((0, round(0.18 * height)), (0, 0))  # the comma hangs below the line
    inks = [np.pad(digit(image, height, rng, pen), below) for image in chosen(split, text, rng)]
    mark = drawn([[(0.6, 0), (0.55, 0.5), (0.3, 1)]], rng.uniform(0.3, 0.4) * height, rng, 0.3)
    ink = np.pad(row([inks[0], mark, *inks[1:]], height, rng, rng.uniform(0.15, 0.3)), 20)
    return _on_paper(ink, text[0] + "," + text[1:], rng)


def on_a_desk(split: Split, rng: Rng) -> Photo:
    """Return two numbers on a sheet, and darker desk at some of the picture's edges."""
    size = (int(rng.integers(420, 700)), int(rng.integers(600, 1000)))
    text = ("20245", "6835") if rng.random() < 0.3 else (numerals(rng, 5), numerals(rng, 4))
    height = min(rng.uniform(0.12, 0.2) * size[0], 0.1 * size[1])
    sheet, written = filled(split, [[text[0]], [text[1]]], height, 0.1 * size[0], size, rng, "plain")
    shown = rng.permutation(4) < rng.integers(1, 5)  # left, top, right, bottom
    around = (rng.uniform(0.05, 0.2, 4) * shown * size[0]).astype(int)
    whole = (size[0] + around[1] + around[3], size[1] + around[0] + around[2])
    ground = coloured(1 + 0.05 * clouds(whole, (4, 4), rng), rng.uniform(40, 130, 3).tolist())
    pose = np.array([[1.0, 0, around[0]], [0, 1, around[1]], [0, 0, 1]])
    if rng.random() < 0.5:  # in perspective
        pose = posed(size, whole, rng, 12) @ np.diag([0.95, 0.95, 1.0])
    picture, numbers = lay(ground, sheet, written, pose, rng)
    return Photo(encoded(picture + rng.normal(0, 3, picture.shape), 90), tuple(numbers))


def smiley(_: Split, rng: Rng) -> Photo:
    """Return a face."""
    face: list[Stroke] = [ring(0.5, 0.5, 0.5, 0.5), ring(0.5, 0.5, 0.3, 0.3, 155, -130)]
    face += [ring(x, 0.35, 0.03, 0.04) for x in (0.33, 0.67)]
    ink = np.pad(drawn(face, rng.uniform(60, 250), rng, rng.uniform(0.025, 0.06)), 30)
    return Photo(_on_paper(ink, "", rng).data, ())


def style(_: Split, rng: Rng) -> Photo:
    """Return one digit in a style that MNIST has few of."""
    label, strokes = list(STYLES.values())[rng.integers(len(STYLES))]
    ink = drawn(strokes, rng.uniform(35, 120), rng, rng.uniform(0.06, 0.12))
    return _on_paper(np.pad(ink, 30), label, rng)


CASES: dict[str, Callable[[Split, Rng], Photo]] = {
    "R1 empty graph paper": graph_paper,
    "R2 white ink on a transparent ground": transparent,
    "R3 30 pixels high, tight": tight,
    "R4 the same with grain": partial(tight, grain=True),
    "R5 a 1 with a long flag": long_flag,
    "R6 a comma": comma,
    "R7 mixed fields": lambda split, rng: field("mixed", split, rng),
    "R8 a sheet on a desk": on_a_desk,
    "R9 a smiley": smiley,
    "R10 styles of digits": style,
}


def _written(split: Split, text: str, height: float, rng: Rng) -> Ink:
    pen = float(rng.choice([0, rng.uniform(0.08, 0.13)]))
    inks = [digit(image, height, rng, pen, 0.05) for image in chosen(split, text, rng)]
    return row(inks, height, rng, rng.uniform(0.1, 0.3))


def _on_paper(ink: Ink, text: str, rng: Rng) -> Photo:
    ground, dark = rng.uniform(200, 255), rng.uniform(10, 80)
    soft = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 1))
    picture = ground + (dark - ground) * soft + rng.normal(0, rng.uniform(0, 4), ink.shape)
    return Photo(encoded(picture, 90), (Number(text, extent(ink)),))
