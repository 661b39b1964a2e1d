"""Opens picture files as upright pixels on white. Nothing is decoded before its size is known.

Takes what Pillow opens of FORMATS, of any mode: 16-bit, CMYK, palette, alpha, animated (its first picture).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits_client.errors import BadRequest

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 50_000_000  # as of a phone's best camera
MAX_BYTES = 64 << 20
LEAST = 8  # pixels a side
WANTED = "expected a whole PNG, JPEG, GIF, BMP, TIFF or WebP picture"

# what Pillow's decoders were seen to raise under random damage
DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError),
    *(struct.error, zlib.error, MemoryError, RuntimeError),
)


def opened(path: str | Path) -> NDArray[np.uint8]:
    """The pixels of a file, as `decoded`. Raises BadRequest, which names the file."""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"{path}: can't be read ({error.strerror or error}): {WANTED}") from None
    return decoded(data, str(path))


def decoded(data: bytes, name: str = "the picture", *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a picture file to uint8 [h, w, 3], RGB, or [h, w] without colours; upright, alpha over white.

    Raises BadRequest: no picture, damaged, cut off, more than `max_pixels` or `MAX_BYTES`.
    """
    if not data:
        raise BadRequest(f"{name}: is empty: {WANTED}")
    if len(data) > MAX_BYTES:
        raise BadRequest(f"{name}: has more than {MAX_BYTES >> 20} MiB: make the picture smaller")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but legible files; the size is checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check(picture.size, name, max_pixels)
                return _pixels(picture)
    except Image.DecompressionBombError:
        raise BadRequest(f"{name}: has too many pixels: {_most(max_pixels)}") from None
    except UnidentifiedImageError:
        raise BadRequest(f"{name}: is no picture{_instead(data)}: {WANTED}") from None
    except DAMAGE as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise BadRequest(f"{name}: is damaged or cut off ({told}): {WANTED}") from None


def _check(size: tuple[int, int], name: str, most: int) -> None:
    width, height = size
    if width * height > most:
        raise BadRequest(f"{name}: has {width}×{height} pixels: {_most(most)}")
    if min(size) < LEAST:
        raise BadRequest(f"{name}: has {width}×{height} pixels: expected at least {LEAST} a side")


def _most(pixels: int) -> str:
    return f"expected at most {pixels / 1e6:g} million; make the picture smaller"


def _instead(data: bytes) -> str:
    return " but a PDF" if data.startswith(b"%PDF") else ""


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    picture.load()
    upright: Any = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I") or upright.mode == "F":
        return _eight_bits(np.asarray(upright))
    if "A" in upright.mode or "a" in upright.mode or "transparency" in upright.info:
        clear = upright.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return np.asarray(Image.alpha_composite(white, clear).convert("RGB"))
    return np.asarray(upright.convert("L" if upright.mode in ("1", "L") else "RGB"))


def _eight_bits(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit, 32-bit or float levels: all that are used, spread over 0–255."""
    lowest, highest = float(levels.min()), float(levels.max())
    if not np.isfinite(highest - lowest):
        raise ValueError("levels that are no numbers")
    scaled = (levels.astype(np.float64) - lowest) * (255 / max(highest - lowest, 1e-9))
    return np.asarray(scaled.round(), dtype=np.uint8)
