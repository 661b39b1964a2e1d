"""Composes lines of writing from pictures of single digits: the pixels, and what they say.

A line is written by one hand (height, slant, width, pen, gaps, each with its own unsteadiness), with the
separators and closing marks of amounts, on paper with shade, texture and printed rules, cut out with a random
margin, and seen by a camera that blurs and adds noise. The shares follow a thousand real cheque amounts; what
MNIST's digits lack comes from `digits.styles`. Every draw follows from the generator that is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digits import styles
from digits.dataset import CLASSES, Split
from digits.line_model.lines import HEIGHT, LONGEST, SEPARATOR, STEP, Lines, columns
from digits.lines.grounds import Grounds
from digits.styles import stroke

Grey = NDArray[np.uint8]
Ink = NDArray[np.float32]
Box = NDArray[np.float32]  # top, bottom, left, right of a digit's ink in its 28 × 28 pixels

WIDTHS = (48, 64, 80, 96, 112, 128, 160)  # pixels of a batch's lines: all of a batch are as wide
WIDTH_SHARES = (0.08, 0.14, 0.2, 0.22, 0.18, 0.12, 0.06)
NEIGHBOURS = 400  # rows of MNIST that are mostly one writer's
# digit → share of the lines in which it is drawn by `styles` rather than taken from the data set
STYLED = {0: 0.2, 1: 0.75, 2: 0.35, 3: 0.2, 4: 0.4, 5: 0.5, 6: 0.15, 7: 0.7, 8: 0.2, 9: 0.6}
DARK = 60  # grey levels; ink in a digit's picture begins here


@dataclass(frozen=True)
class Chances:
    """How often a line has what makes it hard; shares of the lines, unless said otherwise."""

    empty: float = 0.04  # no digits: bare paper, squared paper, or what is none
    touching: float = 0.4  # the gaps are negative
    tight: float = 0.9  # the gaps are at most 0.3 heights
    chained: float = 0.22  # zeros in a row are one stroke
    joined: float = 0.06  # of the digits, joined with the one before by a stroke
    separated: float = 0.55  # separators at thousands and elsewhere
    closed: float = 0.35  # a dash, a dot or an equals sign after the last digit
    ruled: float = 0.4  # printed rules, box sides or squares
    boxed: float = 0.06  # each digit in a printed box of its own, as in forms
    cut_off: float = 0.12  # a stroke of the line above or below
    textured: float = 0.8
    inverted: float = 0.08  # light writing on dark
    contrast: tuple[float, float] = (45.0, 250.0)  # grey levels between paper and pen


TRAINED = Chances()
_PLAIN = Chances(
    empty=0,
    touching=0,
    chained=0,
    joined=0,
    separated=0,
    closed=0,
    ruled=0,
    boxed=0,
    cut_off=0,
    textured=0,
    inverted=0,
)
# The kinds of lines that `evaluate` scores, each with one difficulty, and all of them mixed.
KINDS: dict[str, Chances] = {
    "clean": _PLAIN,
    "ruled": replace(_PLAIN, ruled=1),
    "textured": replace(_PLAIN, textured=1),
    "touching": replace(_PLAIN, touching=1, joined=0.2, chained=0.3),
    "separators": replace(_PLAIN, separated=1, closed=0.5),
    "low_contrast": replace(_PLAIN, contrast=(25, 60)),
    "mixed": replace(TRAINED, empty=0),
}


class Digits:
    """Pictures of digits to compose from: a data set's, in its order, and those of `styles`."""

    def __init__(self, split: Split, seed: int, styled: int = 1500) -> None:
        """styled: how many of each digit are drawn."""
        self.images, self.labels = np.asarray(split.images), np.asarray(split.labels)
        self._rows = [np.flatnonzero(self.labels == digit) for digit in range(CLASSES)]
        self._boxes = _boxes(self.images)
        drawn, labels = styles.pool(styled, seed)
        self._styled = [drawn[labels == digit] for digit in range(CLASSES)]
        self._styled_boxes = [_boxes(images) for images in self._styled]

    def draw(self, rng: np.random.Generator, digit: int, near: int | None, styled: bool) -> tuple[Grey, Box]:
        """A picture of a digit and its box; near: the first row of the writer who is wanted, if any."""
        rows = self._rows[digit]
        if styled or not len(rows):
            one = int(rng.integers(len(self._styled[digit])))
            return self._styled[digit][one], self._styled_boxes[digit][one]
        low, high = 0, len(rows)
        if near is not None:
            low, high = map(int, np.searchsorted(rows, (near, near + NEIGHBOURS)))
        if low >= high:
            low, high = 0, len(rows)
        row = rows[rng.integers(low, high)]
        return self.images[row], self._boxes[row]


def _boxes(images: Grey) -> NDArray[np.float32]:
    side = images.shape[1]
    inked = np.asarray(images > DARK)
    rows: NDArray[np.bool_] = np.asarray(inked.any(axis=2))
    columns: NDArray[np.bool_] = np.asarray(inked.any(axis=1))
    ends = [
        rows.argmax(1),
        side - rows[:, ::-1].argmax(1),
        columns.argmax(1),
        side - columns[:, ::-1].argmax(1),
    ]
    return np.stack(ends, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Hand:
    """How a line is written. Lengths are in pixels or in heights of a digit."""

    height: float  # pixels
    slant: float  # columns per row, to the right
    aspect: float  # width of the digits, times their own
    pen: float  # below 0 thinner than the data set's, above thicker
    gap: float  # heights
    unsteady: float  # deviation of the size
    styled: tuple[bool, ...]  # by digit
    near: int | None  # where the writer's digits begin in the data set
    chained: bool
    box: float | None  # pixels from one printed box to the next, if there are any


def _hand(rng: np.random.Generator, digits: Digits, chances: Chances) -> Hand:
    height = float(np.clip(rng.normal(0.63, 0.14), 0.36, 0.97)) * HEIGHT
    boxed, spread = rng.random() < chances.boxed, rng.random()
    if spread < chances.touching:
        gap = rng.uniform(-0.22, 0)
    else:
        gap = rng.uniform(0.03, 0.3) if spread < chances.tight else rng.uniform(0.3, 0.8)
    last = max(1, len(digits.labels) - NEIGHBOURS)
    styled = [bool(rng.random() < STYLED[digit]) for digit in range(CLASSES)]
    styled[7] = styled[1]  # a hand that flags the 1 bars the 7: nobody could read them otherwise
    return Hand(
        height=height,
        slant=rng.normal(0.12, 0.22) if rng.random() < 0.8 else 0.0,
        aspect=math.exp(rng.normal(0, 0.18)) * (rng.uniform(0.8, 1.3) if rng.random() < 0.5 else 1),
        pen=rng.normal(),
        gap=gap,
        unsteady=rng.uniform(0.02, 0.16),
        styled=tuple(styled),
        near=int(rng.integers(last)) if rng.random() < 0.7 else None,
        chained=bool(rng.random() < chances.chained) and not boxed,
        box=height * rng.uniform(0.9, 1.5) if boxed else None,
    )


def compose(
    rng: np.random.Generator,
    digits: Digits,
    grounds: Grounds,
    width: int,
    chances: Chances = TRAINED,
    others: Grey | None = None,
) -> tuple[Grey, list[int]]:
    """One line, uint8 [32, width], and its characters from left to right, 0–9 and SEPARATOR.

    others: pictures without a digit, uint8 [m, 28, 28], for lines that hold none.
    """
    page = np.zeros((HEIGHT, width), np.uint8)
    text: list[int] = []
    boxes: Grey | None = None
    if rng.random() < chances.empty:
        if others is not None and rng.random() < 0.7:
            _scatter(rng, page, others)
    else:
        writer = _Writer(rng, page, _hand(rng, digits, chances), chances)
        text, boxes = writer.write(digits), writer.boxes()
    return on_paper(rng, page, grounds, chances, 0.6 if not text else 0.03, boxes), text


def on_paper(
    rng: np.random.Generator,
    page: Grey,
    grounds: Grounds,
    chances: Chances,
    squared: float = 0,
    boxes: Grey | None = None,
) -> Grey:
    """A page of writing, white on black, as a camera sees it on paper: both are uint8 [32, w].

    squared: of the pages with rules, the share that is squared paper. boxes: printed in place of rules.
    """
    width = page.shape[1]
    ink = _uneven(rng, _bent(rng, page))
    rules = _rules(rng, width, chances, squared)
    if boxes is not None:
        rules = np.asarray(boxes, np.float32) / np.float32(255)
    if rng.random() < chances.cut_off:
        ink = np.maximum(ink, _cut_off(rng, width))
    return _photographed(rng, ink, rules, grounds, chances)


class _Writer:
    """Writes one line on a page, digit by digit, until the text or the page ends."""

    def __init__(self, rng: np.random.Generator, page: Grey, hand: Hand, chances: Chances) -> None:
        self.rng, self.page, self.hand, self.chances = rng, page, hand, chances
        self.width, height = page.shape[1], hand.height
        inside = rng.random() < 0.92
        self.top = (
            rng.uniform(1, max(1.5, HEIGHT - height - 0.5))
            if inside
            else rng.uniform(-3, HEIGHT - height + 3)
        )
        self.wander = rng.normal(0, 0.03) if rng.random() < 0.6 else 0.0
        self.x = -2.0
        if rng.random() < 0.95:
            self.x = rng.uniform(0, 6) if rng.random() < 0.7 else rng.uniform(0, self.width * 0.45)
        near_edge = rng.random() < 0.75
        self.end = self.width - (rng.uniform(0, 5) if near_edge else rng.uniform(0, self.width * 0.4))
        self.separated, self.mark = rng.random() < chances.separated and not hand.box, rng.random()
        self.text: list[int] = []
        self.first_box = rng.uniform(0, 5)  # pixels; the left side of the first box
        self.ink = math.inf  # of the digit before
        self.exit: tuple[float, float] | None = None  # where the pen left the digit before

    def write(self, digits: Digits) -> list[int]:
        """The characters that found room: at least one digit."""
        rng, height = self.rng, self.hand.height
        number = numerals(rng, int(rng.integers(1, 13)) if rng.random() < 0.25 else 12)
        if rng.random() < 0.3:  # such that the number's own end is seen
            fits = round((self.end - self.x) / (height * 0.8))
            number = numerals(rng, int(np.clip(fits, 1, 12)))
        place = 0
        while place < len(number) and len(self.text) < LONGEST - 2:
            zeros = _zeros_from(number, place) if self.hand.chained and self.text else 0
            if zeros > 1:
                if not self._chain(min(zeros, 4)):
                    break
                place += min(zeros, 4)
                continue
            if not self._digit(int(number[place]), digits):
                break
            place += 1
            if place < len(number) and self.separated:
                self._separator(len(number) - place)
        if self.text and self.text[-1] == SEPARATOR:
            self.text.pop()  # the page ends, and a dot after the last digit is no character
        if rng.random() < self.chances.closed and self.x < self.width - 3:
            self._closing_mark()
        return self.text

    def _digit(self, digit: int, digits: Digits) -> bool:
        """Write a digit; False where there is no room for it."""
        rng, hand = self.rng, self.hand
        image, (top, bottom, left, right) = digits.draw(rng, digit, hand.near, hand.styled[digit])
        image = _inked(image, hand.pen)
        flat = bottom - top < 14  # lies on its side, or a blot: as large as the others would be
        tall = hand.height / (20 if flat else max(8.0, bottom - top)) * math.exp(rng.normal(0, hand.unsteady))
        if digit == 0 and rng.random() < 0.25:
            tall *= rng.uniform(0.6, 0.9)
        wide = tall * hand.aspect * math.exp(rng.normal(0, 0.08))
        slant, turn = hand.slant + rng.normal(0, 0.05), rng.normal(0, 0.04)
        if hand.box:
            side = self.first_box + len(self.text) * hand.box
            wide = min(wide, 0.95 * hand.box / (right - left))
            self.x = side + (hand.box - (right - left) * wide) * rng.uniform(0.25, 0.75)
        breadth = (right - left) * wide
        lean = abs(slant) * (bottom - top) * tall * 0.5
        if self.text and self.x + breadth + max(0.0, lean if slant > 0 else 0.0) > self.end + 1:
            return False
        if self.x + breadth > self.width + 1:
            wide *= max(0.3, (self.width - self.x - 1) / breadth)
            breadth = (right - left) * wide
        x = self.x + breadth / 2
        y = self.top + hand.height / 2 + self.wander * (self.x - self.width / 2)
        y += rng.normal(0, hand.unsteady * 0.35 * hand.height)
        half = (bottom - top) * tall / 2
        y = min(max(y, 0.8 * half), HEIGHT - 0.8 * half)  # at most a tenth of it is cut off
        matrix = np.array([[wide, -slant * tall - turn * wide, 0], [turn * tall, tall, 0]], np.float64)
        matrix[:, 2] = (x, y) - matrix[:, :2] @ ((left + right) / 2, (top + bottom) / 2)
        whole = float(image.sum()) * abs(wide * tall)
        for _ in range(4):
            first = max(0, int(x - breadth / 2 - lean - 3))
            last = min(self.width, int(x + breadth / 2 + lean + 4))
            if last <= first:
                return False
            placed = matrix - [[0, 0, first], [0, 0, 0]]
            part = cv2.warpAffine(image, placed, (last - first, HEIGHT), flags=cv2.INTER_LINEAR)
            under = self.page[:, first:last]
            hidden = float(np.minimum(part, under).sum())
            if float(part.sum()) >= 0.7 * whole and hidden <= 0.18 * min(whole, self.ink):
                break
            step = 0.25 * breadth + 1  # what nobody could read is no example
            x, self.x, matrix[0, 2] = x + step, self.x + step, matrix[0, 2] + step
        else:
            if self.text:
                return False
        np.maximum(under, part, out=under)
        self.ink = whole
        if self.exit is not None and rng.random() < self.chances.joined:
            between = ((self.exit[0] + x) / 2, (self.exit[1] + y) / 2 + rng.normal(0, 3))
            entry = (x - breadth * 0.3, y + rng.normal(0, hand.height * 0.3))
            stroke(self.page, [self.exit, between, entry], rng.uniform(1, 2), rng.uniform(150, 255))
        self.exit = (x + breadth * 0.35, y + rng.normal(0, hand.height * 0.3))
        self.text.append(digit)
        self.x += breadth + hand.gap * hand.height * rng.uniform(0.5, 1.5) + rng.normal(0, 0.03) * hand.height
        return True

    def _chain(self, zeros: int) -> bool:
        """Write zeros as loops of one stroke; False where there is no room for them."""
        rng, height = self.rng, self.hand.height
        tall = height * rng.uniform(0.22, 0.42)
        wide = tall * self.hand.aspect * rng.uniform(0.7, 1.1)
        pitch = wide * 2 * rng.uniform(0.85, 1.35)
        if self.x + pitch * zeros > self.end:
            return False
        middle = self.top + height - tall - rng.uniform(0, 0.15) * height
        start, end = rng.uniform(-0.8, 0), 2 * math.pi * zeros + rng.uniform(-0.8, 0.4)
        turned = np.linspace(-start, end, 16 * zeros) / (2 * math.pi)
        angle = -math.pi / 2 - 2 * math.pi * turned
        y = middle + tall * np.sin(angle) + rng.normal(0, 0.02) * height * turned
        x = self.x + wide + np.clip(turned - 0.5, 0, zeros - 1) * pitch + wide * np.cos(angle)
        x -= self.hand.slant * (y - middle)
        points = list(zip(x, y, strict=True))
        if rng.random() < 0.4:
            away = (
                points[-1][0] + rng.uniform(0.2, 0.8) * height,
                points[-1][1] + rng.uniform(-0.1, 0.3) * height,
            )
            points.append(away)
        pen = min(height * rng.uniform(0.05, 0.13), 0.4 * wide)  # such that each loop is open
        stroke(self.page, points, pen, rng.uniform(190, 255))
        self.text += [0] * zeros
        self.ink = math.inf
        self.x += pitch * (zeros - 1) + 2 * wide + max(0.0, self.hand.gap) * height
        return True

    def boxes(self) -> Grey | None:
        """The printed boxes that the digits stand in, white on black, like the page; None: there are none."""
        rng, pitch = self.rng, self.hand.box
        if pitch is None:
            return None
        page = np.zeros_like(self.page)
        n = len(self.text) + int(rng.integers(0, 3))
        pen, level, joined = rng.uniform(0.7, 2.2), rng.uniform(90, 255), rng.random() < 0.6
        space = 0.0 if joined else rng.uniform(0.06, 0.2) * pitch
        tall = self.hand.height * rng.uniform(1.1, 1.6)
        middle = self.top + self.hand.height / 2 + rng.normal(0, 1)
        head, foot = middle - tall / 2, middle + tall / 2
        for place in range(n):
            left, right = self.first_box + place * pitch, self.first_box + (place + 1) * pitch - space
            corners = [(left, head), (right, head), (right, foot), (left, foot), (left, head)]
            stroke(page, corners, pen, level)
        return page

    def _separator(self, left: int) -> None:
        """Perhaps a dot, a comma or a gap, most often before the last three digits."""
        rng, height = self.rng, self.hand.height
        if rng.random() >= (0.8 if left == 3 else 0.35 if left == 2 else 0.06):
            return
        if self.mark >= 0.97:  # this hand leaves a gap
            self.x += 0.4 * height
            return
        foot = self.top + height * rng.uniform(0.86, 1.02)
        if self.mark < 0.75:
            radius = rng.uniform(0.04, 0.12) * height
            x = self.x + rng.uniform(0, 0.1) * height + radius
            y = self.top + height * rng.uniform(0.4, 0.6) if self.mark < 0.1 else foot
            if x < self.end:
                _dot(self.page, x, y, radius, rng.uniform(180, 255))
        else:
            tall = rng.uniform(0.1, 0.4) * height
            x = self.x + rng.uniform(0, 0.12) * height + tall * 0.3
            tail = (x - tall * rng.uniform(0.1, 0.5), foot + tall * 0.7)
            points = [
                (x + tall * 0.15, foot - tall * 0.3),
                (x + rng.uniform(0, 0.1) * tall, foot + 0.1 * tall),
                tail,
            ]
            if x < self.end:
                stroke(self.page, points, rng.uniform(1, 2.4))
        if x < self.end:
            self.text.append(SEPARATOR)
            self.x = max(self.x + rng.uniform(-0.1, 0.2) * height, x + rng.uniform(0, 0.2) * height)

    def _closing_mark(self) -> None:
        """A dot, a dash or an equals sign after the last digit; it is no character."""
        rng, height, kind = self.rng, self.hand.height, self.rng.random()
        long = min(self.width - self.x, rng.uniform(0.25, 1.6) * height)
        x, y = self.x + rng.uniform(0, 0.25) * height, self.top + height * rng.uniform(0.3, 0.8)
        pen = rng.uniform(1, 2.6)
        if kind < 0.35:
            _dot(self.page, x, self.top + height * rng.uniform(0.85, 1), rng.uniform(0.04, 0.1) * height, 230)
        if kind < 0.15:
            stroke(self.page, [(x + 2, y), (x + 2 + long, y + rng.normal(0, 1.5))], pen)
        elif 0.35 <= kind < 0.8:
            dash = [(x, y), (x + long / 2, y + rng.normal()), (x + long, y + rng.normal(0, 2))]
            stroke(self.page, dash, pen)
        elif kind >= 0.8:
            for aside in (-2, 2):
                stroke(self.page, [(x, y + aside), (x + long * 0.6, y + aside + rng.normal())], pen)


def numerals(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """`n` digits as amounts have them: many end in zeros, some repeat, few begin with a zero."""
    made = rng.integers(0, CLASSES, n)
    kind = rng.random()
    if n > 2 and kind < 0.3:
        made[-int(rng.integers(1, min(n, 5))) :] = 0
    elif kind < 0.48:  # runs of a digit, which are miscounted most easily
        again = rng.random(n) < rng.uniform(0.3, 0.8)
        for place in range(1, n):
            if again[place]:
                made[place] = made[place - 1]
    if n > 1 and made[0] == 0 and rng.random() < 0.7:
        made[0] = rng.integers(1, CLASSES)
    return made


def _zeros_from(number: NDArray[np.int64], place: int) -> int:
    other = np.flatnonzero(number[place:])
    return int(other[0]) if len(other) else len(number) - place


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _inked(image: Grey, pen: float) -> Grey:
    """The digit by a thicker or thinner pen."""
    if pen > 0.4:
        thick = cv2.dilate(image, _CROSS)
        return np.asarray(thick if pen > 1.2 else cv2.addWeighted(image, 0.5, thick, 0.5, 0), np.uint8)
    if pen < -0.2:
        share = 0.6 if pen < -1 else 0.35
        return np.asarray(cv2.addWeighted(image, 1 - share, cv2.erode(image, _CROSS), share, 0), np.uint8)
    return image


def _dot(page: Grey, x: float, y: float, radius: float, level: float) -> None:
    cv2.circle(page, (int(x * 16), int(y * 16)), int(max(0.7, radius) * 16), (level,), -1, cv2.LINE_AA, 4)


def _scatter(rng: np.random.Generator, page: Grey, others: Grey) -> None:
    """What is no digit, side by side."""
    width = page.shape[1]
    x = rng.uniform(0, width * 0.5)
    while x < width - 12 and rng.random() < 0.8:
        kind = rng.random()
        if kind < 0.35:
            x += (_badge if kind < 0.2 else _tick)(rng, page, x) * rng.uniform(1, 1.6)
            continue
        image, zoom = others[rng.integers(len(others))], rng.uniform(0.7, 1.2)
        down = rng.uniform(-2, HEIGHT - 27 * zoom)
        matrix = np.array([[zoom, rng.normal(0, 0.1), x], [0, zoom, down]], np.float64)
        np.maximum(page, cv2.warpAffine(image, matrix, (width, HEIGHT)), out=page)
        x += 28 * zoom * rng.uniform(0.6, 1.2)


def _badge(rng: np.random.Generator, page: Grey, x: float) -> float:
    """A ring with marks in it: an emblem, a stamp, a face; its width in pixels. It would be read as a 0."""
    tall, wide = rng.uniform(7, 14), rng.uniform(0.85, 1.2)
    y, pen = rng.uniform(tall, HEIGHT - tall), rng.uniform(1, 2.6)
    turns = np.linspace(0, 2 * math.pi, 24)
    middle = x + wide * tall
    round_it = np.stack([middle + wide * tall * np.cos(turns), y + tall * np.sin(turns)], axis=1)
    stroke(page, round_it.astype(np.float32), pen)
    for _ in range(int(rng.integers(2, 6))):
        at = rng.uniform(-0.5, 0.5, 2) * tall + (middle, y)
        bend = at + rng.normal(0, 0.2, (2, 2)) * tall * rng.choice([0.3, 1.5])
        stroke(page, np.vstack([at, bend]).astype(np.float32), pen)
    return 2 * wide * tall


def _tick(rng: np.random.Generator, page: Grey, x: float) -> float:
    """A check mark; its width in pixels. It would be read as a 1."""
    tall = rng.uniform(10, 26)
    down, up = tall * rng.uniform(0.15, 0.45), tall * rng.uniform(0.4, 1)
    foot = rng.uniform(tall, HEIGHT)
    start = (x, foot - tall * rng.uniform(0.3, 0.6))
    stroke(page, [start, (x + down, foot), (x + down + up, foot - tall)], rng.uniform(1, 3))
    return down + up


def _bent(rng: np.random.Generator, page: Grey) -> Grey:
    """The page with its writing bent by waves of a pixel."""
    if rng.random() >= 0.6:
        return page
    y, x = np.mgrid[0:HEIGHT, 0 : page.shape[1]].astype(np.float32)
    aside, down = rng.uniform(0, 1.4, 2)
    period, other = rng.uniform(14, 60, 2)
    phase, second = rng.uniform(0, 2 * math.pi, 2)
    turn = 2 * np.pi
    x_from = x + aside * np.sin(turn * y / period + phase) + 0.3 * aside * np.sin(turn * x / 11 + second)
    y_from = y + down * np.sin(turn * x / other + second)
    moved = cv2.remap(page, x_from.astype(np.float32), y_from.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8)


def _uneven(rng: np.random.Generator, page: Grey) -> Ink:
    """The writing as ink, 0 to 1, of uneven strength."""
    ink = np.asarray(page, np.float32) / np.float32(255)
    if rng.random() < 0.5:
        coarse = rng.uniform(0.45, 1.1, (3, 6)).astype(np.float32)
        ink *= cv2.resize(coarse, ink.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return ink


def _rules(rng: np.random.Generator, width: int, chances: Chances, squared: float) -> Ink | None:
    """Printed lines, 0 to 1: rules at the foot or the head, box sides, squares; None: there are none."""
    if rng.random() >= chances.ruled:
        return None
    page = np.zeros((HEIGHT, width), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        y = rng.uniform(0.5, HEIGHT - 0.5)
        if rng.random() < 0.7:
            y = HEIGHT - rng.uniform(0, 7) if rng.random() < 0.75 else rng.uniform(0, 5)
        left, right = (0.0, float(width)) if rng.random() < 0.75 else sorted(rng.uniform(0, width, 2))
        ends = [(left, y), (right, y + rng.normal(0, 0.012) * width)]
        stroke(page, ends, rng.uniform(0.6, 2.4), rng.uniform(90, 255))
    if rng.random() < 0.15:
        x = rng.uniform(0, 4) if rng.random() < 0.5 else width - rng.uniform(0, 4)
        stroke(page, [(x, 0), (x + rng.normal(), HEIGHT)], rng.uniform(0.6, 2), rng.uniform(90, 255))
    if rng.random() < squared:
        step = rng.uniform(6, 30)
        for x in np.arange(rng.uniform(0, step), width, step):
            stroke(page, [(x, 0), (x, HEIGHT)], 1, rng.uniform(60, 200))
        for y in np.arange(rng.uniform(0, step), HEIGHT, step):
            stroke(page, [(0, y), (width, y)], 1, rng.uniform(60, 200))
    return np.asarray(page, np.float32) / np.float32(255)


def _cut_off(rng: np.random.Generator, width: int) -> Ink:
    """The end of a stroke that belongs to the line above or below."""
    page = np.zeros((HEIGHT, width), np.uint8)
    x, deep = rng.uniform(0, width), rng.uniform(1, 6)
    edge, inside = (-1.0, deep) if rng.random() < 0.5 else (float(HEIGHT), HEIGHT - deep)
    stroke(page, [(x, edge), (x + rng.normal(0, 6), inside)], rng.uniform(1, 2.5), 230)
    return np.asarray(page, np.float32) / np.float32(255)


def _photographed(
    rng: np.random.Generator, ink: Ink, rules: Ink | None, grounds: Grounds, chances: Chances
) -> Grey:
    """Ink and rules on paper, as a camera sees them."""
    height, width = ink.shape
    size, low, high = (width, height), *chances.contrast
    paper, pen = rng.uniform(130, 255), rng.uniform(5, 110)
    if not low <= paper - pen <= high:
        pen = paper - rng.uniform(low, min(high, 110))
    pen = max(0.0, pen)
    contrast = paper - pen
    ground = np.full((height, width), paper, np.float32)
    if rng.random() < chances.textured:
        strength = (abs(rng.normal(0, 0.11)) + rng.uniform(0, 0.12)) * contrast
        ground += strength * grounds.window(rng, height, width)
        if rng.random() < 0.3:
            ground += 0.5 * strength * grounds.window(rng, height, width)
        if rng.random() < 0.5:
            shade = rng.normal(0, 9, (2, 3)).astype(np.float32)
            ground += cv2.resize(shade, size, interpolation=cv2.INTER_LINEAR)
    if rules is not None:
        level = rng.uniform(pen, max(pen + 1, paper - 20)) if rng.random() < 0.7 else pen
        ground += (level - ground) * rules
    picture = ground + (pen - ground) * np.minimum(ink * rng.uniform(0.9, 1.4), 1)
    lens = rng.random()
    if lens < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.25, 0.9))
    elif lens < 0.6:
        coarse = rng.uniform(0.45, 0.8)
        small = (max(4, int(width * coarse)), max(4, int(height * coarse)))
        picture = cv2.resize(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), size)
    if rng.random() < 0.6:
        noise = abs(rng.normal(0, min(6.0, contrast / 8)))
        picture = picture + rng.standard_normal((height, width), np.float32) * np.float32(noise)
    picture = np.clip(picture, 0, 255)
    return np.asarray(255 - picture if rng.random() < chances.inverted else picture).astype(np.uint8)


def batch(
    seed: Sequence[int],
    size: int,
    digits: Digits,
    grounds: Grounds,
    others: Grey | None = None,
    chances: Chances = TRAINED,
    width: int | None = None,
) -> Lines:
    """`size` lines of one width; equal seeds give equal lines. width: None draws it from WIDTHS."""
    rng = np.random.Generator(np.random.SFC64(list(seed)))
    width = width or int(rng.choice(WIDTHS, p=WIDTH_SHARES))
    images = np.empty((size, HEIGHT, width), np.uint8)
    texts, lengths = np.full((size, LONGEST), -1, np.int32), np.zeros(size, np.int32)
    for row in range(size):
        images[row], text = compose(rng, digits, grounds, width, chances, others)
        while columns(text) > width // STEP or (chances.separated == 1 and SEPARATOR not in text):
            images[row], text = compose(rng, digits, grounds, width, chances, others)
        texts[row, : len(text)], lengths[row] = text, len(text)
    return Lines(images, texts, lengths)
