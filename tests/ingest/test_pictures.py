import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.ingest.batches import decode
from digits.normalize import to_grey
from digits.runtime.errors import DataError

GREY = np.arange(40 * 60, dtype=np.uint32).reshape(40, 60).astype(np.uint8)


def stored(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def palette() -> Image.Image:
    picture = Image.fromarray(GREY).quantize(64)
    assert picture.mode == "P"
    return picture


@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        (stored(Image.fromarray(GREY)), 0.01),
        (stored(Image.fromarray(GREY).convert("RGB")), 0.01),
        (stored(Image.fromarray(GREY).convert("RGBA")), 0.01),
        (stored(Image.fromarray(GREY).convert("LA")), 0.01),
        (stored(Image.fromarray(GREY.astype(np.uint16) * 257)), 0.01),
        (stored(palette()), 4),
        (stored(Image.fromarray(GREY), "JPEG", quality=95), 25),
        (stored(Image.fromarray(GREY).convert("CMYK"), "JPEG", quality=95), 25),
    ],
    ids=["grey", "RGB", "RGBA", "grey and alpha", "16 bits", "palette", "JPEG", "CMYK"],
)
def test_every_mode_gives_the_same_grey(data: bytes, tolerance: float) -> None:
    np.testing.assert_allclose(to_grey(decode(data)), GREY, atol=tolerance)


def test_one_bit_and_transparent_palette() -> None:
    black_and_white = (GREY > 127).astype(np.uint8) * 255
    np.testing.assert_array_equal(
        decode(stored(Image.fromarray(black_and_white).convert("1"))), black_and_white
    )
    see_through = stored(Image.fromarray(black_and_white).convert("P"), transparency=0)
    assert decode(see_through).shape == (40, 60, 4)


def test_orientation_noted_by_the_camera_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned: NDArray[Any] = decode(stored(Image.fromarray(GREY), "JPEG", quality=95, exif=exif))
    assert turned.shape == (60, 40)
    np.testing.assert_allclose(turned, np.rot90(GREY, -1), atol=25)


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 1000) + b"IDAT" + bytes(8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bomb(5000, 4000), "5000×4000 pixels, expected at most 16 million"),
        (bomb(100_000, 100_000), "too many pixels, expected at most 16 million"),
        (stored(Image.fromarray(GREY).resize((300, 200)))[:-100], "damaged"),
        (stored(Image.fromarray(GREY), "JPEG")[:300], "damaged|no PNG"),
        (b"not a picture", "no PNG or JPEG"),
        (b"", "no PNG or JPEG"),
        (stored(Image.fromarray(GREY), "BMP"), "no PNG or JPEG"),
    ],
)
def test_what_can_not_be_decoded_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        decode(data)


def test_random_damage_never_escapes_as_another_error() -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = Image.fromarray(GREY).convert("RGB")
    for whole in (stored(colour), stored(colour, "JPEG", exif=exif), stored(palette(), transparency=3)):
        for _ in range(300):
            data = bytearray(whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else whole)
            for place in rng.integers(0, min(len(data), 200), size=3):  # where the headers are
                data[place] = rng.integers(256)
            try:
                decode(bytes(data))
            except DataError:
                continue


def test_exif_that_makes_no_sense_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def nonsense(_: Image.Image) -> Image.Image:
        raise TypeError("bad operand type for abs(): 'str'")  # seen with one changed byte in the EXIF data

    monkeypatch.setattr("digits.ingest.batches.ImageOps.exif_transpose", nonsense)
    with pytest.raises(DataError, match="damaged: bad operand"):
        decode(stored(Image.fromarray(GREY)))
