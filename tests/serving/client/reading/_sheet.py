"""Sheets of synthetic digits, and a reader of lines that knows them: nearest neighbour, no TensorFlow."""

from functools import cache

import cv2
import numpy as np

from digits_client.results import Answer, Character, LinePrediction
from tests._digits import digits


@cache
def known():
    images, labels = digits(600, seed=11)
    return _flat(np.stack([_boxed(image[_extent(image)] / 255) for image in images])), labels


def _extent(image):
    x, y, w, h = cv2.boundingRect((image > 60).astype(np.uint8))
    return np.s_[y : y + h, x : x + w]


def _boxed(ink):
    """Ink of 0–1 in the middle of 28 × 28, its longer side 20."""
    scale = 20 / max(ink.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    image = np.zeros((28, 28), np.uint8)
    left, top = (28 - size[0]) // 2, (28 - size[1]) // 2
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    image[top : top + size[1], left : left + size[0]] = 255 * small
    return image


def _flat(images):
    ink = np.stack([cv2.GaussianBlur(image, (0, 0), 1.2) for image in images]).reshape(len(images), -1)
    ink = ink.astype(float)
    return ink / np.maximum(np.linalg.norm(ink, axis=1, keepdims=True), 1e-9)


def ask(lines):
    """What the nearest known digits are, piece of ink by piece; sure of what is near."""
    return Answer(tuple(map(_said, lines)), 7)


def _said(line):
    assert line.dtype == np.uint8 and line.shape[0] == 32 and 4 <= line.shape[1] <= 2048
    characters = []
    columns = np.full((-(-line.shape[1] // 4), 12), 1e-5)
    columns[:, 11] = 1 - 11e-5
    for x, pixels in _pieces(line):
        at = min(int(x // 4), len(columns) - 1)
        shares = np.full(12, 1e-5)
        if pixels is None:
            shares[10], digit = 0.99, None
        else:
            digit, shares[:10] = _nearest(pixels)
        columns[at] = shares
        characters.append(Character(digit, float(shares[10 if digit is None else digit]), x))
    found = [each for each in characters if each.digit is not None]
    sure = float(np.prod([each.probability for each in found]))
    text = "".join(str(each.digit) for each in found)
    written = "".join("." if each.digit is None else str(each.digit) for each in characters)
    accepted = bool(found) and sure > 0.7 ** len(found)
    return LinePrediction(
        text, written, sure, accepted, tuple(characters), tuple(map(tuple, columns.tolist()))
    )


def _pieces(line):
    """From left to right the middle of each piece of ink, and its pixels; None for a small one: a point."""
    apart = np.abs(line.astype(float) - np.median(line))
    if apart.max() < 30:
        return
    mask = (apart > 0.4 * apart.max()).astype(np.uint8)
    for shape in ((1, 60), (30, 1)):
        mask = cv2.subtract(mask, cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones(shape, np.uint8)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    for i in np.argsort(stats[1:, 0]) + 1:
        x, y, w, h, area = (int(each) for each in stats[i])
        if h >= 9:
            yield x + w / 2, np.where(labels == i, apart, 0)[y : y + h, x : x + w] / apart.max()
        elif area >= 4 and y > 12:
            yield x + w / 2, None


def _nearest(ink):
    """The digit, and the shares of all."""
    known_ink, labels = known()
    near = (_flat(_boxed(ink)[None]) @ known_ink.T)[0]
    best = np.array([near[labels == digit].max() for digit in range(10)])
    shares = np.exp(60 * (best - best.max()))
    sure = min(1.0, float(best.max()) / 0.8) ** 8
    return int(best.argmax()), shares / shares.sum() * sure


def one(digit, seed=0):
    """An image of a digit, uint8 [h, w], cut to its ink."""
    images, labels = digits(600, seed=11)
    image = images[np.flatnonzero(labels == digit)[seed]]
    x, y, w, h = cv2.boundingRect(image)
    return image[y : y + h, x : x + w]


def sheet(text, height=48, gap=20, size=None, left=60, top=60, paper=225, ink=40, seed=0):
    """(uint8 [h, w], boxes) of digits in a row; a space is a wide gap, . a point on the base line."""
    shapes, x, boxes = [], left, []
    for i, sign in enumerate(text):
        if sign == " ":
            x += 4 * height
        elif sign == ".":
            side = max(3, round(0.14 * height))
            shapes.append((x, top + height - side, np.full((side, side), 255, np.uint8)))
            x += side + gap
        else:
            image = one(int(sign), seed + i)
            width = max(2, round(image.shape[1] * height / image.shape[0]))
            shapes.append((x, top, cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)))
            boxes.append((x, top, width, height))
            x += width + gap
    size = size or (top + height + 60, x + 60)
    drawn = np.zeros(size, np.float64)
    for at, below, image in shapes:
        region = drawn[below : below + image.shape[0], at : at + image.shape[1]]
        np.maximum(region, image / 255, out=region)
    return (paper + drawn * (ink - paper)).astype(np.uint8), boxes
