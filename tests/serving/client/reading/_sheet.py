"""Sheets of synthetic digits, and a model that knows them: nearest neighbour, no TensorFlow."""

from functools import cache

import cv2
import numpy as np

from digits_client.results import Answer, Prediction
from tests._digits import digits


@cache
def known():
    images, labels = digits(600, seed=11)
    return _flat(images), labels


def _flat(images):
    ink = np.stack([cv2.GaussianBlur(image, (0, 0), 1.2) for image in images]).reshape(len(images), -1)
    ink = ink.astype(float)
    return ink / np.maximum(np.linalg.norm(ink, axis=1, keepdims=True), 1e-9)


def ask(images):
    """What the nearest known digit is; sure of what is near."""
    assert images.dtype == np.uint8 and images.shape[1:] == (28, 28)
    ink, labels = known()
    near = _flat(images) @ ink.T
    made = []
    for row in near:
        best = np.array([row[labels == digit].max() for digit in range(10)])
        p = np.exp(60 * (best - best.max()))
        p /= p.sum()
        sure = float(p.max()) * min(1.0, float(best.max()) / 0.88) ** 8
        p = p * sure / p.max() if p.max() > sure else p
        made.append(Prediction(int(best.argmax()), sure, tuple(map(float, p)), sure > 0.7))
    return Answer(tuple(made), 7)


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
