"""The bytes of a PNG or JPEG file → pixels, upright.

Core. Nothing is decoded before the size in the header is known to be harmless.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.runtime.errors import DataError

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 16_000_000  # as in a photo of a phone; a few hundred bytes of PNG can claim billions

# what Pillow's decoders were seen to raise, under random damage to the pixels and to the EXIF data
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    struct.error,
    zlib.error,
)


def decode(data: bytes) -> NDArray[Any]:
    """PNG or JPEG of any mode → uint8 [h, w] or [h, w, 3 or 4], or uint16 [h, w]; EXIF orientation honoured.

    Raises DataError: not PNG or JPEG, truncated, damaged, more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but legible files; the size is checked here
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"the picture has {width}×{height} pixels, expected at most {MAX_PIXELS / 1e6:g} million"
                )
            return _pixels(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError:
        raise DataError(
            f"the picture has too many pixels, expected at most {MAX_PIXELS / 1e6:g} million"
        ) from None
    except UnidentifiedImageError:
        raise DataError("the file is no PNG or JPEG picture") from None
    except DAMAGE as error:
        raise DataError(f"the picture is damaged: {' '.join(str(error).split())}") from None


def _pixels(picture: Image.Image) -> NDArray[Any]:
    if picture.mode.startswith("I"):  # 16-bit grey, which some versions of Pillow open as 32-bit
        return np.asarray(picture).astype(np.uint16)
    if "A" in picture.mode or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
