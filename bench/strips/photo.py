"""Makes photos of a sheet of ten digits, two megapixels, and measures how long it takes to read them."""

from __future__ import annotations

import io
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.strips.generator import strip
from digits_client.reading import decoded, read
from digits_client.reading.reader import Ask

SIZE = (1200, 1680)  # rows, columns
DIGITS = 10


def photo(images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """A JPEG of a strip of all these digits on a sheet."""
    picture = strip(images, labels, rng, 0.0, "plain").picture
    fit = min(1.0, 0.95 * SIZE[1] / picture.shape[1])
    picture = cv2.resize(picture, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
    below, beside = SIZE[0] - picture.shape[0], SIZE[1] - picture.shape[1]
    top, left = int(rng.integers(below // 2)), int(rng.integers(1 + beside // 2))
    sheet = cv2.copyMakeBorder(picture, top, below - top, left, beside - left, cv2.BORDER_REFLECT_101)
    # Mirrored writing is no writing: what surrounds the strip is its paper, without its ink.
    paper = cv2.medianBlur(cv2.resize(sheet, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA), 61)
    paper = cv2.resize(paper, SIZE[::-1]).astype(np.float64) + rng.normal(0, 3, sheet.shape)
    paper[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    stream = io.BytesIO()
    Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def measure(photos: list[tuple[bytes, str]], ask: Ask) -> dict[str, Any]:
    """Milliseconds from a file's bytes to its reading, the model's answers included, the first left out."""
    times, right = [], 0
    for i, (data, text) in enumerate([photos[0], *photos]):
        began = time.perf_counter()
        reading = read(decoded(data), ask)
        if i:
            times.append(1000 * (time.perf_counter() - began))
            right += reading.text == text
    low, median, high = (float(each) for each in np.percentile(times, [5, 50, 95]))
    return {"photos": len(photos), "median_ms": median, "p5_ms": low, "p95_ms": high, "whole": right}
