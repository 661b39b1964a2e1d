"""Opens picture files as upright pixels. Nothing is decoded before its size is known.

Takes what Pillow opens of FORMATS, of any mode: 16-bit, CMYK, palette, alpha, animated (its first picture).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from digits_client.errors import BadRequest

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 50_000_000  # as of a phone's best camera
MAX_BYTES = 64 << 20
MAX_MEMORY = 1_000_000_000  # bytes that decoding may take, estimated before it begins; a gateway allows less
BAND = 1 << 20  # pixels that are converted at once
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


def decoded(
    data: bytes,
    name: str = "the picture",
    *,
    max_pixels: int = MAX_PIXELS,
    max_memory: int = MAX_MEMORY,
    max_bytes: int = MAX_BYTES,
    grey: bool = False,
    page: int = 0,
) -> NDArray[np.uint8]:
    """Decode a picture file to uint8 [h, w, 3], RGB, or [h, w] without colours; upright.

    What is transparent shows a ground: white, or black below light ink.
    grey: [h, w] always, which takes a third of the memory. page: of a TIFF with several, from 0 on.
    Raises BadRequest: no picture, damaged, cut off, larger than `max_bytes`, of more than `max_pixels`, or
    one that takes more than `max_memory` bytes to decode.
    """
    if not data:
        raise BadRequest(f"{name}: is empty: {WANTED}")
    if len(data) > max_bytes:
        raise BadRequest(f"{name}: has more than {max_bytes >> 20} MiB: make the picture smaller")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but legible files; the size is checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                if page:
                    picture.seek(page)
                _check(picture.size, name, max_pixels)
                if grey:
                    picture.draft("L", None)  # a JPEG is decoded without its colours
                _check_memory(picture, name, max_memory)
                return _pixels(picture, grey)
    except Image.DecompressionBombError:
        raise BadRequest(f"{name}: has too many pixels: {_most(max_pixels)}") from None
    except UnidentifiedImageError:
        raise BadRequest(f"{name}: {_refusal(data)}") from None
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


# Bytes that a pixel of a mode has in Pillow's memory, 4 for those that are not here.
PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# Whole copies of 4 bytes a pixel that a decoder makes beside that. WebP's has two canvases and the copy that
# it hands over; GIF's paints the frame in colours; BMP's expands what is compressed.
COPIES = {"WEBP": 3, "GIF": 1, "BMP": 1}
BITS, ROWS, TILE_WIDTH, TILE_HEIGHT = 258, 278, 322, 323  # TIFF's tags


def _check_memory(picture: Image.Image, name: str, most: int) -> None:
    """Raise BadRequest where decoding would take more than `most` bytes."""
    pixels = picture.width * picture.height
    needed = pixels * (PIXEL_BYTES.get(picture.mode, 4) + 4 * COPIES.get(picture.format or "", 0))
    if picture.info.get("progressive"):  # a JPEG's coefficients, 2 bytes each, are kept until the last scan
        layers: list[tuple[int, int, int, int]] = getattr(picture, "layer", [])
        full = max((h * v for _, h, v, _ in layers), default=1)
        needed += sum(2 * pixels * h * v // full for _, h, v, _ in layers)
    if isinstance(picture, TiffImageFile):  # a strip or a tile, which may be the whole picture, or more
        tags = picture.tag_v2
        strip = picture.width * min(tags.get(ROWS, picture.height), picture.height)
        part = tags[TILE_WIDTH] * tags[TILE_HEIGHT] if TILE_WIDTH in tags else strip
        needed += part * max(sum(tags.get(BITS, (1,))) // 8, 4)
    if needed > most:
        size = f"{picture.width}×{picture.height} pixels of this {picture.format} file"
        raise BadRequest(
            f"{name}: {size} take {needed / 1e6:.0f} MB to decode, expected at most {most / 1e6:.0f}: make "
            "the picture smaller, or save it as a plain JPEG"
        )


JPEG = "save it as a JPEG, as an iPhone does with Settings › Camera › Formats › Most Compatible"
# Where, which bytes: what people take for a picture, and what to do about it. A file's name says nothing.
OTHERS = (
    (0, b"%PDF", "a PDF", "save its page as a picture"),
    *((4, b"ftyp" + brand, "a HEIC photo", JPEG) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftypavi", "an AVIF picture", "save it as a JPEG or PNG"),
    (4, b"ftyp", "a film", "take a photo"),
    (0, b"\xff\x0a", "a JPEG XL picture", "save it as a JPEG or PNG"),
    (4, b"JXL ", "a JPEG XL picture", "save it as a JPEG or PNG"),
    (4, b"jP  ", "a JPEG 2000 picture", "save it as a JPEG or PNG"),
    (0, b"<svg", "an SVG drawing", "save it as a PNG"),
    (0, b"PK\x03\x04", "an archive or an office document", "take the picture out of it"),
)


def _refusal(data: bytes) -> str:
    """What a file is that is no picture of FORMATS, and what to do about it."""
    for at, mark, what, advice in OTHERS:
        if data[at : at + len(mark)] == mark:
            return f"is {what}: {WANTED}; {advice}"
    return f"is no picture: {WANTED}"


def _pixels(picture: Image.Image, grey: bool) -> NDArray[np.uint8]:
    """Decode, and convert in bands of rows: a whole copy for each step would take several times as much."""
    picture.load()
    turn = picture.getexif().get(ORIENTATION, 1)
    if picture.mode.startswith("I") or picture.mode == "F":
        made = _eight_bits(picture)
    else:
        clear = "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info
        plain = grey or (picture.mode in ("1", "L") and not clear)
        made = np.empty((picture.height, picture.width, *(() if plain else (3,))), np.uint8)
        ground = _ground(picture) if clear else ""
        for top, band in _bands(picture):
            if clear:
                opaque = band.convert("RGBA")
                band = Image.alpha_composite(Image.new("RGBA", opaque.size, ground), opaque).convert("RGB")
            made[top : top + band.height] = np.asarray(band.convert("L" if plain else "RGB"))
    picture.close()  # frees its pixels before these are copied
    return np.ascontiguousarray(TURNS[turn](made) if turn in TURNS else made)


def _ground(picture: Image.Image) -> str:
    """What lies below a picture with transparent places: what its ink is not."""
    light = opacity = 0
    for _, band in _bands(picture):
        pixels = np.asarray(band.convert("LA"))
        light += int((pixels[..., 0].astype(np.int64) * pixels[..., 1]).sum())
        opacity += int(pixels[..., 1].sum(dtype=np.int64))
    return "black" if light >= 128 * max(opacity, 1) else "white"


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, BAND // picture.width)
    for top in range(0, picture.height, rows):
        yield top, picture.crop((0, top, picture.width, min(top + rows, picture.height)))


ORIENTATION = 0x0112  # Exif's tag: how the camera was held
TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


def _eight_bits(picture: Image.Image) -> NDArray[np.uint8]:
    """16-bit, 32-bit or float levels: all that are used, spread over 0–255."""
    ends = [(float(levels.min()), float(levels.max())) for _, levels in _levels(picture)]
    lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
    if not np.isfinite([end for both in ends for end in both]).all():
        raise ValueError("levels that are no numbers")
    made = np.empty((picture.height, picture.width), np.uint8)
    for top, levels in _levels(picture):
        scaled = (levels.astype(np.float64) - lowest) * (255 / max(highest - lowest, 1e-9))
        made[top : top + len(levels)] = scaled.round()
    return made


def _levels(picture: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    for top, band in _bands(picture):
        yield top, np.asarray(band)
