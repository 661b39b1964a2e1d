"""Facts of what clients send, for the request logs: of 28 × 28 pixels, of lines and of encoded pictures.

A picture's facts are those of its grey levels as decoded. A large one is decoded at a reduced size, and its
facts in pixels are given in those of the whole picture. One that would take long to decode has no facts.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from digits import facts
from digits.facts import FACTS
from digits.wire import HEIGHT

Row = tuple[float | None, ...]  # in the order of FACTS
UNKNOWN: Row = (None,) * len(FACTS)
DIGIT, PICTURE, LINE = "digit", "picture", "line"  # kinds: 28 × 28 pixels, a digit's file, a line
SIDE = 28

LARGE = 250_000  # pixels that facts are made of; a picture of more is made smaller
LARGEST = 4_000_000  # pixels of a picture that can only be decoded whole
LARGEST_JPEG = 50_000_000  # pixels; decoded at an eighth of its sides
SCANS = 64  # of a progressive JPEG: each goes through the whole picture, and takes a few bytes to ask for
SCAN = b"\xff\xda"
IN_PIXELS = np.array(
    [name in ("left", "top", "width", "height", "centre_x", "centre_y", "stroke") for name in FACTS]
)


def of_digits(images: Sequence[bytes]) -> list[Row]:
    """Facts of images of 28 × 28 bytes."""
    return of_images(np.frombuffer(b"".join(images), np.uint8).reshape(-1, SIDE, SIDE))


def of_line(pixels: bytes) -> Row:
    """Facts of a line's pixels, 32 rows of bytes."""
    return of_images(np.frombuffer(pixels, np.uint8).reshape(1, HEIGHT, -1))[0]


def of_picture(data: bytes) -> Row:
    """Facts of a picture's file."""
    try:
        grey, scale = _grey(data)
    except Exception:  # a decoder may raise anything under damage
        return UNKNOWN
    return of_images(grey[None], scale)[0]


def of_images(images: NDArray[np.uint8], scale: float = 1.0) -> list[Row]:
    """Facts of uint8 [n, h, w]. scale: pixels of the original to one of these."""
    if not images.size:
        return [UNKNOWN] * len(images)
    found = facts.facts(images)
    table = np.stack([np.asarray(found[name], np.float64) for name in FACTS], axis=1)
    table[:, IN_PIXELS] *= scale
    return [tuple(None if math.isnan(value) else value for value in row) for row in table.tolist()]


def _grey(data: bytes) -> tuple[NDArray[np.uint8], float]:
    """Grey levels of a picture, and how many pixels of it are one of these along a side."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
        width, area = picture.width, picture.width * picture.height
        jpeg = picture.format == "JPEG"
        if area > (LARGEST_JPEG if jpeg else LARGEST) or (jpeg and data.count(SCAN) > SCANS):
            raise ValueError("it would take long")
        scale = math.sqrt(area / LARGE)
        picture.draft("L", (math.ceil(width / scale), math.ceil(picture.height / scale)))  # of a JPEG
        reduced = width / picture.width
        every = math.ceil(scale / reduced)
        return _levels(ImageOps.exif_transpose(picture))[::every, ::every], reduced * every


def _levels(picture: Image.Image) -> NDArray[np.uint8]:
    """8-bit grey levels; what is transparent shows a ground unlike the ink, as the model sees it."""
    if picture.mode.startswith("I"):
        levels: NDArray[np.uint8] = np.clip(np.asarray(picture, np.int64) >> 8, 0, 255).astype(np.uint8)
        return levels
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    clear: NDArray[np.uint32] = np.asarray(picture.convert("RGBA").convert("LA")).astype(np.uint32)
    grey, alpha = clear[..., 0], clear[..., 1]
    ground = 0 if (grey * alpha).sum() >= 128 * alpha.sum() else 255
    return ((grey * alpha + ground * (255 - alpha)) // 255).astype(np.uint8)


class Allowance:
    """A share of a processor's time, for one thread: what it spends at once, it has less of later."""

    def __init__(self, share: float, most: float = 0.5) -> None:
        """most: seconds that can be saved up."""
        self._share, self._most, self._left, self._at = share, most, most, time.monotonic()

    def __bool__(self) -> bool:
        """Whether some is left."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._share, self._most)
        self._at = now
        return self._left > 0

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count the time of the block."""
        began = time.thread_time()
        try:
            yield
        finally:
            self._left -= time.thread_time() - began
