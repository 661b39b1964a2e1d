"""Digits in the hands that MNIST lacks, drawn by strokes.

MNIST's writers are Americans: its 1 is a bare slash, its 7 has no bar, its 9 a closed loop. On cheques, forms
and envelopes elsewhere the 1 has a flag and a foot, the 7 a bar, the 4 is open, the 5 one stroke, and the 9
looks like a P or a g. The shapes and how often each is drawn follow what was seen on a thousand real cheques.

A digit is drawn at four times its size, as one or two bent strokes with random joints and one pen, then made
small: white ink on black, of the size that MNIST's digits have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.dataset import CLASSES

SIDE = 28
TIMES = 4  # as large as the result, on each side
PEN = (5.0, 13.0)  # width of the stroke while it is large
SOFT = 2.0  # deviation of the blur before it is made small

Points = list[tuple[float, float]]  # (x, y) of the joints of a stroke, on a page of SIDE * TIMES pixels
Strokes = list[Sequence[tuple[float, float]] | NDArray[np.float32]]
Draw = Callable[[np.random.Generator], Strokes]


def draw(digit: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One digit, 0–9, as uint8 [28, 28]."""
    page = np.zeros((SIDE * TIMES, SIDE * TIMES), np.uint8)
    pen = rng.uniform(*PEN)
    for points in HANDS[digit](rng):
        stroke(page, points, pen)
    page = np.asarray(cv2.GaussianBlur(page, (0, 0), SOFT), np.uint8)
    return np.asarray(cv2.resize(page, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def pool(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`n` digits of each class: images uint8 [10 n, 28, 28] and their labels uint8 [10 n], class by class."""
    rng = np.random.default_rng([seed, 28])
    labels = np.repeat(np.arange(CLASSES, dtype=np.uint8), n)
    images = np.empty((len(labels), SIDE, SIDE), np.uint8)
    for row, label in enumerate(labels):
        images[row] = draw(int(label), rng)
    return images, labels


def stroke(
    page: NDArray[np.uint8],
    points: Sequence[tuple[float, float]] | NDArray[np.float32],
    pen: float,
    level: float = 255,
) -> None:
    """Draw a line through the points (x, y), in pixels, with smooth edges; a `pen` of less than 1 draws 1."""
    parts = np.round(np.asarray(points, np.float32) * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(page, [parts], False, (float(level),), max(1, round(pen)), cv2.LINE_AA, 4)


def bent(points: Sequence[tuple[float, float]], times: int = 2) -> NDArray[np.float32]:
    """The points with their corners cut `times` over (Chaikin 1974): a smooth stroke with the same ends."""
    line = np.asarray(points, np.float32)
    for _ in range(times if len(line) > 2 else 0):
        cut = np.empty((2 * len(line) - 2, 2), np.float32)
        cut[0::2] = 0.75 * line[:-1] + 0.25 * line[1:]
        cut[1::2] = 0.25 * line[:-1] + 0.75 * line[1:]
        cut[0], cut[-1] = line[0], line[-1]
        line = cut
    return line


def _arc(x: float, y: float, wide: float, tall: float, start: float, end: float, n: int = 18) -> Points:
    turns = np.linspace(start, end, n)
    return [(x + wide * math.cos(turn), y + tall * math.sin(turn)) for turn in turns]


def _zero(rng: np.random.Generator) -> Strokes:
    """An oval that does not close, or runs on; many end in a stroke to the right."""
    x, y = rng.normal(56, 3, 2)
    wide, tall = rng.uniform(14, 30), rng.uniform(20, 36)
    start, span = rng.uniform(-2.2, -0.2), rng.uniform(5.7, 7.2) * rng.choice([-1, 1])
    spiral = 1 + 0.12 * np.linspace(-1, 1, 30) * np.clip(rng.normal(), -1, 1)  # more would be a 6
    turns = np.linspace(start, start + span, 30)
    ring: Points = list(
        zip(x + wide * spiral * np.cos(turns), y + tall * spiral * np.sin(turns), strict=True)
    )
    if rng.random() < 0.4:
        ring.append((ring[-1][0] + rng.uniform(10, 34), ring[-1][1] + rng.uniform(-12, 4)))
    return [ring]


def _one(rng: np.random.Generator) -> Strokes:
    """With a flag up to a lead-in as long as the stem, a loop, or bare; a quarter on a foot."""
    middle, top, bottom = rng.normal(60, 4), rng.normal(18, 2), rng.normal(94, 2)
    lean = rng.uniform(-4, 18)
    upper, lower = middle + lean, middle - lean
    kind, made = rng.random(), Strokes()
    if kind < 0.8:
        share = rng.uniform(0.2, 1.05)
        length = share * (bottom - top)
        steepest = 62 + 16 * share  # a lead-in as long as the stem begins beside its foot
        flattest = 18 + 70 * min(max(0.0, share - 0.2), 0.4)  # a long flat one would be a 7
        down = math.radians(rng.uniform(flattest, steepest))
        x, y = upper - length * math.cos(down), top + length * math.sin(down)
        sag = rng.normal(0, 3)
        flag = [(x, y), ((x + upper) / 2 + sag, (y + top) / 2 + sag), (upper, top)]
        made.append([*flag, ((upper + lower) / 2 + rng.normal(0, 2), (top + bottom) / 2), (lower, bottom)])
    elif kind < 0.9:
        loop = [(upper - 8, top + 30), (upper - 12, top + 8), (upper - 2, top), (upper, top + 6)]
        made.append([*loop, (lower, bottom)])
    else:
        made.append([(upper, top), (lower, bottom)])
    if rng.random() < 0.25:
        half = rng.uniform(8, 22)
        left, right = rng.normal(0, 2, 2)
        made.append(
            [(lower - half + left, bottom + rng.normal()), (lower + half + right, bottom + rng.normal())]
        )
    return made


def _two(rng: np.random.Generator) -> Strokes:
    """Angular or round, with a curled top or a loop at the lower left."""
    left, right, top, bottom = _frame(rng, 34, 76, 22, 90)
    over = [((left + right) / 2 - 6, top), (right - 6, top + rng.uniform(4, 12))]
    over.append((right - rng.uniform(0, 12), top + 24))
    head = [(left + rng.uniform(0, 6), top + rng.uniform(8, 22)), *over]
    if rng.random() < 0.4:
        start = [(left + rng.uniform(8, 18), top + rng.uniform(18, 28))]
        head = [*start, (left + rng.uniform(2, 10), top + rng.uniform(10, 18)), *over]
        if rng.random() < 0.5:
            head = [(left + rng.uniform(14, 24), top + rng.uniform(8, 16)), *head]
    foot = [(left + rng.normal(0, 3), bottom - rng.uniform(0, 5))]
    kind = rng.random()
    if kind < 0.35:
        foot += [(left - 8, bottom - 12), (left + 2, bottom - 16), (left + 14, bottom - 4)]
    points = [*head, *foot, (right + rng.uniform(-6, 16), bottom + rng.normal(-2, 4))]
    return [bent(points) if kind < 0.7 else points]


def _three(rng: np.random.Generator) -> Strokes:
    """Two bows, the upper one round or flat and angular."""
    left, right, top, bottom = _frame(rng, 38, 70, 20, 92)
    middle, waist = (left + right) / 2, (top + bottom) / 2 + rng.normal(0, 5)
    if rng.random() < 0.35:
        head = [(left, top + rng.normal(0, 2)), (right + rng.normal(0, 3), top + rng.normal(0, 2))]
        head.append((middle + rng.normal(0, 3), waist - 6))
    else:
        head = [(left, top + rng.uniform(4, 14)), (middle, top), (right, (top + waist) / 2)]
        head.append((middle - rng.uniform(-4, 10), waist))
    tail = [(right + rng.uniform(0, 8), (waist + bottom) / 2), (middle, bottom)]
    return [bent([*head, *tail, (left - rng.uniform(0, 8), bottom - rng.uniform(2, 14))])]


def _four(rng: np.random.Generator) -> Strokes:
    """Open at the top, or one stroke as a lightning."""
    left, stem, top, bottom = rng.normal(34, 4), rng.normal(62, 5), rng.normal(20, 3), rng.normal(94, 2)
    waist = rng.uniform(52, 66)
    if rng.random() < 0.75:
        corner = left - rng.uniform(-4, 8)
        arm = (stem + rng.uniform(6, 20), waist + rng.normal(0, 4))
        angle = [(left + rng.uniform(0, 12), top), (corner, waist), arm]
        upright = [(stem + rng.uniform(-2, 12), rng.uniform(22, 48)), (stem - rng.uniform(-2, 8), bottom)]
        return [angle, upright]
    turn = (stem + 8 + rng.normal(0, 3), waist - rng.uniform(6, 20))
    start = (left + 16 + rng.normal(0, 3), top)
    return [[start, (left + rng.normal(0, 3), waist), turn, (stem - rng.uniform(0, 10), bottom)]]


def _five(rng: np.random.Generator) -> Strokes:
    """One stroke as an S, a tick, a narrow s, or a bowl with its bar."""
    left, right, top, bottom = _frame(rng, 38, 72, 22, 90)
    middle, waist, kind = (left + right) / 2, rng.uniform(44, 56), rng.random()
    bowl = [(left + 2, waist), (middle, waist - rng.uniform(0, 8)), (right, (waist + bottom) / 2)]
    bowl += [(middle, bottom), (left - rng.uniform(0, 10), bottom - rng.uniform(0, 12))]
    if kind < 0.5:
        head = [(right + rng.uniform(0, 18), top), (left + rng.uniform(0, 14), top + rng.uniform(0, 8))]
        return [bent([*head, *bowl])]
    if kind < 0.7:
        down = [(left - rng.uniform(-4, 10), waist + rng.uniform(-4, 16))]
        down.append((left + rng.uniform(2, 8), (waist + bottom) / 2 + rng.normal(0, 4)))
        up = [(left + rng.uniform(0, 14), bottom - rng.uniform(0, 6)), (left + rng.uniform(8, 20), waist)]
        up.append((right - rng.uniform(0, 16), top + rng.uniform(0, 6)))
        return [bent([*down, *up, (right + rng.uniform(8, 30), top + rng.normal(0, 4))], 1)]
    if kind < 0.8:
        upper = [(right, top), (left + 12, top + 10), (left + 14 + rng.normal(0, 3), waist)]
        return [bent([*upper, (right - 6, waist + 14), (left + 12, bottom), (left - 4, bottom - 8)])]
    bar = [(left + rng.uniform(-2, 10), top), (right + rng.uniform(0, 20), top + rng.normal(-3, 5))]
    return [bent([(left + rng.uniform(0, 8), top), *bowl]), bar]


def _six(rng: np.random.Generator) -> Strokes:
    """A stem into a loop that need not close."""
    x, y = rng.normal(56, 3), rng.normal(72, 3)
    wide, tall = rng.uniform(10, 21), rng.uniform(10, 20)
    stem = [(x + rng.uniform(-4, 22), rng.normal(20, 3)), (x - wide * rng.uniform(0.3, 1), rng.normal(44, 3))]
    loop = _arc(x, y, wide, tall, math.pi, math.pi - rng.uniform(1.3, 2.1) * math.pi, 16)
    return [bent([*stem, (x - wide, y), *loop], 1)]


def _seven(rng: np.random.Generator) -> Strokes:
    """With a hook or a wave at the top, and a bar in nine of ten; a short top makes it nearly a plus."""
    left, right, top, bottom = _frame(rng, 34, 80, 22, 92)
    foot = rng.uniform(38, 66)
    hook = [(left, top + rng.uniform(2, 16)), (left + 4, top + rng.normal(0, 2))]
    start = hook if rng.random() < 0.5 else [(left, top + rng.normal(0, 3))]
    if rng.random() < 0.2:
        right -= rng.uniform(4, 16)
    wave = ((left + right) / 2, top + rng.normal(3, 4))
    bow = ((right + foot) / 2 + rng.uniform(-8, 4), (top + bottom) / 2 + rng.normal(0, 3))
    body = [*start, wave, (right, top + rng.normal(0, 2)), bow, (foot, bottom)]
    made: Strokes = [bent(body, 1) if rng.random() < 0.5 else body]
    if rng.random() < 0.9:
        share = rng.uniform(0.38, 0.74)
        x, y = right + (foot - right) * share + rng.normal(0, 3), top + (bottom - top) * share
        half, tilt = rng.uniform(9, 28), rng.uniform(-0.35, 0.25)
        made.append([(x - half, y - half * tilt), (x, y), (x + half, y + half * tilt)])
    return made


def _eight(rng: np.random.Generator) -> Strokes:
    """Two circles, or one stroke that is open at the top."""
    x, top, bottom = rng.normal(56, 3), rng.normal(20, 2), rng.normal(94, 2)
    waist = (top + bottom) / 2 + rng.normal(0, 4)
    upper, lower = rng.uniform(9, 18), rng.uniform(11, 22)
    high, low = (top + waist) / 2, (waist + bottom) / 2
    if rng.random() < 0.3:
        first = _arc(x + rng.normal(0, 2), high, upper, (waist - top) / 2, -1.6, 4.8)
        return [first, _arc(x + rng.normal(0, 2), low, lower, (bottom - waist) / 2, -1.6, 4.8)]
    aside = rng.uniform(-6, 14)
    down = [(x + upper + aside * 0.4, top + rng.uniform(0, 14)), (x, top), (x - upper, high), (x, waist)]
    round_ = [(x + lower, low), (x, bottom), (x - lower, low), (x, waist)]
    up = [(x + upper * rng.uniform(0.5, 1.2), high)]
    up.append((x + upper * rng.uniform(0.4, 1.2) + aside * 0.5, top + rng.uniform(-4, 8)))
    return [bent([*down, *round_, *up], 3)]


def _nine(rng: np.random.Generator) -> Strokes:
    """A loop more or less open on a straight or curled tail; as a P; as a g, an S or an open 8."""
    x, y = rng.normal(56, 3), rng.normal(40, 3)
    wide, tall, kind = rng.uniform(11, 23), rng.uniform(9, 20), rng.random()
    if kind < 0.4:
        loop = _arc(x, y, wide, tall, -0.3, -0.3 - (2 * math.pi - rng.uniform(-0.4, 1.3)), 24)
        stem = x + wide + rng.normal(0, 2)
        tail = [(stem, y - tall * rng.uniform(0.2, 1)), (stem - rng.uniform(0, 8), 70)]
        curl = [(stem - rng.uniform(8, 26), 92), (stem - rng.uniform(24, 40), 88)]
        return [loop, bent([*tail, *(curl if rng.random() < 0.5 else [(stem - rng.uniform(0, 18), 94)])])]
    if kind < 0.6:
        stem, start = x - wide * rng.uniform(0.1, 1), rng.uniform(2.6, 3.8)
        loop = _arc(x, y, wide, tall, start, start + rng.uniform(1.2, 2.2) * math.pi, 20)
        tail = [(stem + rng.uniform(0, 4), y + tall * 0.7), (stem + rng.normal(0, 2), 72)]
        tail.append((stem - rng.uniform(-4, 12), 96))
        if rng.random() < 0.6:
            return [bent([(stem + rng.normal(0, 2), y - tall * 0.6), *tail]), loop]
        return [bent([*loop, *tail], 1)]
    start = rng.uniform(-1.2, 0.3)
    loop = _arc(x, y, wide, tall, start, start - rng.uniform(1.4, 1.95) * math.pi, 20)
    tail = [(x + wide * rng.uniform(0.5, 1.1), y + tall * rng.uniform(0.2, 1))]
    tail += [(x + wide * rng.uniform(0.2, 0.9), 76), (x - rng.uniform(0, 14), 94)]
    tail.append((x - rng.uniform(12, 28), 86))
    if rng.random() < 0.5:
        tail += [(x - rng.uniform(4, 20), rng.normal(70, 3)), (x + rng.uniform(0, 10), 74)]
    return [bent([*loop, *tail])]


def _frame(rng: np.random.Generator, left: float, right: float, top: float, bottom: float) -> list[float]:
    """The sides of a digit's box, each a little off."""
    return [float(side + rng.normal(0, 3.5)) for side in (left, right, top, bottom)]


HANDS: tuple[Draw, ...] = (_zero, _one, _two, _three, _four, _five, _six, _seven, _eight, _nine)
