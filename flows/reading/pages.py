"""The pages of a file as pixels: of a PDF, of a TIFF with several pages, and of any other picture its one."""

from __future__ import annotations

import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits_client.errors import BadRequest
from digits_client.reading.opening import DAMAGE, LEAST, decoded

Picture = NDArray[np.uint8]  # [h, w] or [h, w, 3]

DPI = 200  # of a PDF's pages, as offices scan
PIXELS = 25_000_000  # of a PDF's page: a larger one is drawn coarser
PAGES = 2000  # of a file
SECONDS = 120  # that decoding a page may take; libraries can't be interrupted, so then the worker ends
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def pages(data: bytes) -> Iterator[tuple[int, Picture | BadRequest]]:
    """Yield the number and the pixels of each page of a file, from 1 on, or why it has none.

    Raises BadRequest for a file that can't be opened, or has more than PAGES.
    """
    if b"%PDF-" in data[:1024]:
        yield from _of_pdf(data)
        return
    count = _count(data) if data[:4] in TIFF else 1
    _check(count)
    for place in range(count):
        try:
            with _watched():
                page = decoded(
                    data, "the page" if count > 1 else "the picture", page=place, max_bytes=len(data)
                )
        except BadRequest as error:
            if count == 1:
                raise
            yield place + 1, error
        else:
            yield place + 1, page


def _count(data: bytes) -> int:
    try:
        with warnings.catch_warnings(), _watched():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
                return int(getattr(picture, "n_frames", 1))
    except DAMAGE:
        return 1  # decoding says what is wrong


def _check(count: int) -> None:
    if count > PAGES:
        raise BadRequest(f"has {count:,} pages: expected at most {PAGES:,}; split the file")


def _of_pdf(data: bytes) -> Iterator[tuple[int, Picture | BadRequest]]:
    import pypdfium2

    try:
        with _watched():
            document = pypdfium2.PdfDocument(data)
            count = len(document)
    except pypdfium2.PdfiumError as error:
        raise BadRequest(
            f"is a PDF that can't be opened ({' '.join(str(error).split())}): expected a whole one without a "
            "password"
        ) from None
    try:
        _check(count)
        for place in range(count):
            try:
                with _watched():
                    page = _drawn(document, place)
            except pypdfium2.PdfiumError as error:
                yield place + 1, BadRequest(f"the page can't be drawn ({' '.join(str(error).split())})")
            except BadRequest as error:
                yield place + 1, error
            else:
                yield place + 1, page
    finally:
        document.close()


def _drawn(document: Any, place: int) -> Picture:
    page = document[place]
    try:
        width, height = page.get_size()  # in points, 72 an inch
        scale = min(DPI / 72, math.sqrt(PIXELS / max(width * height, 1e-6)))
        if min(width, height) * scale < LEAST:
            raise BadRequest(f"the page has {width:.0f}×{height:.0f} points: expected a page to read")
        bitmap = page.render(scale=scale, grayscale=True)
        try:
            pixels = np.array(bitmap.to_numpy(), dtype=np.uint8)  # a copy: the bitmap's memory is freed
        finally:
            bitmap.close()
        return pixels.reshape(pixels.shape[:2])
    finally:
        page.close()


@contextmanager
def _watched() -> Iterator[None]:
    """End this process if the block takes too long; the driver then finds out which file it is."""
    timer = threading.Timer(SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
