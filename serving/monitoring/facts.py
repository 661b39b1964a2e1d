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
from digits_client.contract import HEIGHT, SIDE
from digits_client.errors import BadRequest
from digits_client.reading.opening import DAMAGE, decoded

Row = tuple[float | None, ...]  # in the order of FACTS
UNKNOWN: Row = (None,) * len(FACTS)

LARGE = 1_000_000  # pixels that facts are made of; a picture of more is made smaller
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
    except (BadRequest, *DAMAGE):
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
        area = picture.width * picture.height
        if picture.format == "JPEG" and area > LARGE:
            return _reduced(picture, data, math.sqrt(area / LARGE))
    if data.count(SCAN) > SCANS and data.startswith(b"\xff\xd8"):
        raise BadRequest("more scans than any camera writes")
    grey = decoded(data, max_pixels=LARGEST, grey=True)
    every = math.ceil(math.sqrt(area / LARGE))
    return grey[::every, ::every], every


def _reduced(picture: Image.Image, data: bytes, scale: float) -> tuple[NDArray[np.uint8], float]:
    width = picture.width
    if width * picture.height > LARGEST_JPEG or data.count(SCAN) > SCANS:
        raise BadRequest("too large to look into")
    picture.draft("L", (math.ceil(width / scale), math.ceil(picture.height / scale)))
    reduced = width / picture.width
    every = math.ceil(scale / reduced)
    grey = np.asarray(ImageOps.exif_transpose(picture).convert("L"))
    return grey[::every, ::every], reduced * every


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
