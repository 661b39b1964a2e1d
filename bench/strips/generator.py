"""Draws strips of single digits at random, with the truth about where and what the digits are.

A strip has 3 to 9 digits on plain paper, on ruled paper or in boxes; the writing leans, the row is
tilted, the light is uneven, the camera adds blur and noise, paper and ink have colours, one in seven is chalk
on a board. Neighbours may touch: they are pushed together until their ink meets.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.float32]  # [h, w], 0 paper to 1 full ink
Boxes = NDArray[np.int64]  # [n, 4]: x, y, w, h

RULINGS = ("plain", "plain", "lines", "boxes")


@dataclass(frozen=True)
class Strip:
    """A picture and the truth about it."""

    picture: NDArray[np.uint8]  # [h, w, 3], RGB
    text: str
    boxes: Boxes  # of the digits, from left to right
    touching: NDArray[np.bool_]  # [n], whether a digit touches a neighbour
    ruling: str  # plain, lines or boxes


def strip(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
    touching: float = 0.1,
    ruling: str | None = None,
) -> Strip:
    """Return a strip of digits in this order: uint8 [n, 28, 28], white on black, and their labels [n].

    touching: the chance of each pair of neighbours to touch; in boxes nothing touches.
    """
    ruling = ruling or RULINGS[rng.integers(len(RULINGS))]
    height = round(float(np.exp(rng.uniform(np.log(28), np.log(90)))))  # pixels of a digit
    lean = rng.uniform(-0.15, 0.2)  # of the writing, to the right, as a tangent
    crispness = rng.uniform(1, 3)
    shapes = [_shape(image, height * rng.uniform(0.88, 1.12), lean, crispness, rng) for image in images]
    touches = rng.random(len(shapes) - 1) < (0 if ruling == "boxes" else touching)
    pitch = rng.uniform(1.25, 1.6) * height
    margin = round(float(rng.uniform(0.6, 1.5)) * height)
    lefts = (
        _in_boxes(shapes, margin, pitch, rng)
        if ruling == "boxes"
        else _in_a_row(shapes, margin, touches, height, rng)
    )
    base = margin + round(1.3 * height)
    tops = [base - shape.shape[0] + round(float(rng.normal(0, 0.04)) * height) for shape in shapes]
    right = max(round(margin + pitch * len(shapes)), max(_rights(lefts, shapes)))
    size = (base + margin + round(0.3 * height), right + margin)
    lines = _ruling(size, ruling, margin, base, height, pitch, len(shapes), rng)
    turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), float(rng.uniform(-5, 5)), 1.0)
    layers = [
        _placed(shape, left, top, size, turn) for shape, left, top in zip(shapes, lefts, tops, strict=True)
    ]
    drawn = np.max(layers, axis=0)
    lines = cv2.warpAffine(lines, turn, size[::-1], flags=cv2.INTER_LINEAR)
    touched = np.append(touches, False) | np.insert(touches, 0, False)
    return Strip(
        _photograph(drawn, lines, height, rng),
        "".join(map(str, labels)),
        np.array([cv2.boundingRect((layer > 0.35).astype(np.uint8)) for layer in layers]),
        touched,
        ruling,
    )


def _shape(
    image: NDArray[np.uint8], height: float, lean: float, crispness: float, rng: np.random.Generator
) -> Ink:
    """Return a digit's ink, enlarged, leaning, cut to its extent: float32 [h, w] of 0–1."""
    scale = height / 20
    lean += rng.normal(0, 0.03)
    side = round(28 * scale * 1.5)
    middle = (side - 1) / 2
    forward = np.array([[scale, -lean * scale, 0], [0, scale, 0]])
    forward[:, 2] = middle - forward[:, :2] @ [13.5, 13.5]
    large = cv2.warpAffine(image.astype(np.float32) / 255, forward, (side, side), flags=cv2.INTER_CUBIC)
    ink = np.clip((large - 0.5) * crispness + 0.5, 0, 1) * (large > 0.1)
    x, y, w, h = cv2.boundingRect((ink > 0.02).astype(np.uint8))
    return np.asarray(ink[y : y + h, x : x + w], dtype=np.float32)


def _in_boxes(shapes: list[Ink], margin: int, pitch: float, rng: np.random.Generator) -> list[int]:
    return [
        round(margin + pitch * (i + 0.5) - shape.shape[1] / 2 + float(rng.normal(0, 0.03)) * pitch)
        for i, shape in enumerate(shapes)
    ]


def _in_a_row(
    shapes: list[Ink], margin: int, touches: NDArray[np.bool_], height: int, rng: np.random.Generator
) -> list[int]:
    """Return the left edges: each digit a gap, or where it touches an overlap, from the one before."""
    spacing = rng.uniform(0.12, 0.6) * height
    lefts = [margin]
    for i, touch in enumerate(touches):
        nearest = lefts[-1] + _clear(shapes[i], shapes[i + 1])  # where the ink of both just meets
        if touch:
            left = nearest - round(float(rng.uniform(1, 1 + 0.06 * height)))
        else:
            gap = spacing + float(rng.normal(0, 0.08)) * height
            left = max(nearest + 3, lefts[-1] + shapes[i].shape[1] + round(gap))
        lefts.append(left)
    return lefts


def _clear(left: Ink, right: Ink) -> int:
    """Return how far right of the left digit's edge the right one must be so that no row of both overlaps."""
    rows = max(len(left), len(right))
    end = np.full(rows, -(10**6))
    start = np.full(rows, 10**6)
    for y in range(rows):  # they stand on the same line, so rows count from the bottom
        if y < len(left) and (on := np.flatnonzero(left[-1 - y] > 0.4)).size:
            end[y] = on[-1] + 1
        if y < len(right) and (on := np.flatnonzero(right[-1 - y] > 0.4)).size:
            start[y] = on[0]
    return int(np.max(end - start))


def _rights(lefts: list[int], shapes: list[Ink]) -> list[int]:
    return [left + shape.shape[1] for left, shape in zip(lefts, shapes, strict=True)]


def _placed(shape: Ink, left: int, top: int, size: tuple[int, int], turn: NDArray[np.float64]) -> Ink:
    layer = np.zeros(size, np.float32)
    layer[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    turned: Ink = cv2.warpAffine(layer, turn, size[::-1], flags=cv2.INTER_LINEAR)
    return turned


def _ruling(
    size: tuple[int, int],
    ruling: str,
    margin: int,
    base: int,
    height: int,
    pitch: float,
    n: int,
    rng: np.random.Generator,
) -> Ink:
    """Return lines across the page, or a comb of n boxes; nothing on plain paper. float32 of `size`."""
    ink = np.zeros(size, np.float32)
    thick = max(1, round(float(rng.uniform(0.02, 0.05)) * height))
    strength = float(rng.uniform(0.35, 0.9))
    if ruling == "lines":
        first = base + round(float(rng.uniform(-0.03, 0.12)) * height)
        for y in (first - round(1.6 * height), first, first + round(1.6 * height)):
            cv2.line(ink, (0, y), (size[1], y), strength, thick)
    elif ruling == "boxes":
        room = (pitch - height) / 2
        top, bottom = round(base - height - room), round(base + room)
        for x in (round(margin + pitch * i) for i in range(n + 1)):
            cv2.line(ink, (x, top), (x, bottom), strength, thick)
        for y in (top, bottom):
            cv2.line(ink, (margin, y), (round(margin + pitch * n), y), strength, thick)
    return ink


def _photograph(digits: Ink, lines: Ink, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ink and lines of digits so high, on paper, in some light, by a camera. uint8 [h, w, 3], RGB."""
    board = rng.random() < 1 / 7  # chalk
    paper = rng.uniform(20, 70) if board else rng.uniform(165, 250)
    ink = paper + rng.uniform(90, 170) if board else paper - rng.uniform(80, min(170, paper - 10))
    tint = rng.normal(0, 6, 3)
    ground = np.full((*digits.shape, 3), paper, np.float32) + tint.astype(np.float32)
    for layer, colour in (
        (lines, ink + rng.normal(0, 15, 3)),
        (digits, ink + rng.normal(0, 15, 3)),
    ):
        share = layer[..., None]
        ground = ground * (1 - share) + colour.astype(np.float32) * share
    blur = rng.uniform(0, 0.02) * height
    if blur > 0.3:
        ground = cv2.GaussianBlur(ground, (0, 0), blur)
    ground = ground * _light(digits.shape, rng)[..., None]
    grain = rng.normal(0, 1, digits.shape)[..., None] * 0.8 + rng.normal(0, 1, ground.shape) * 0.6
    noisy = ground + rng.uniform(1, 9) * grain
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _light(size: tuple[int, ...], rng: np.random.Generator) -> Ink:
    """Return 1 at the brightest place, less elsewhere: a slope, and on half of them a shadow's soft edge."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y
    across = (across - across.min()) / np.ptp(across)
    light = 1 - rng.uniform(0, 0.5) * across
    if rng.random() < 0.5:
        turned = across if rng.random() < 0.5 else 1 - across
        light *= 1 - rng.uniform(0.1, 0.4) / (1 + np.exp(-(turned - rng.uniform(0.3, 0.7)) / 0.05))
    return np.asarray(light, dtype=np.float32)
