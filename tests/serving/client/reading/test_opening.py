"""Picture files of every kind, and those that mean harm."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from digits_client import BadRequest
from digits_client.reading import decoded, opened
from tests._pictures import encode, jpeg_claiming, kinds, png_claiming
from tests.serving.client.reading._sheet import one, sheet


@pytest.mark.parametrize("kind", sorted(kinds(np.zeros((28, 28), np.uint8) + 9)))
def test_every_kind_of_picture_is_opened(kind):
    pixels = decoded(kinds(np.pad(one(3), 4))[kind])
    assert pixels.dtype == np.uint8 and pixels.ndim in (2, 3)
    assert int(pixels.max()) - int(pixels.min()) > 100, "ink is seen whatever is transparent"


def test_the_camera_s_note_of_how_it_was_held_is_heeded():
    photo, _ = sheet("4721")
    ways = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_90 TRANSVERSE ROTATE_270"
    for turn, way in enumerate(("", *ways.split()), start=1):
        stored, exif = Image.fromarray(photo), Image.Exif()
        exif[0x0112] = turn
        file = encode(stored.transpose(Image.Transpose[way]) if way else stored, "PNG", exif=exif)
        assert (decoded(file) == photo).all(), turn


PNG = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8)))
BAD = {
    "missing": (None, "No such file"),
    "nothing": (b"", "is empty"),
    "a pdf": (b"%PDF-1.7\n" + b"0" * 500, "is a PDF: expected .*; save its page as a picture"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC photo: expected .*; save it as a JPEG"),
    "heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "is a HEIC photo: expected .*; save it as a JPEG"),
    "avif": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "is an AVIF picture: expected .*; save it as a JPEG"),
    "film": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "is a film: expected .*; take a photo"),
    "jpeg xl": (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL picture"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "is a JPEG 2000 picture"),
    "garbage": (b"\x00\x01 not a picture" * 9, "is no picture"),
    "cut": (PNG[: len(PNG) // 2], "damaged or cut off"),
    "png bomb": (png_claiming(20_000, 10_000), "at most 50 million"),
    "jpeg bomb": (jpeg_claiming(20_000, 10_000), "at most 50 million"),
    "huge png": (png_claiming(2**31 - 1, 2**31 - 1), "pixels"),
    "a line": (encode(Image.new("L", (400, 2))), "at least 8 a side"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_file_is_refused_in_one_line_that_names_it(name, tmp_path):
    data, said = BAD[name]
    path = tmp_path / "x.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadRequest, match=said) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_every_format_is_opened_and_its_damage_is_refused_or_read_and_never_anything_else(kind):
    photo = sheet("47")[0]
    whole = encode(Image.fromarray(photo), kind)
    assert decoded(whole).shape[:2] == photo.shape
    for seed in range(10):
        rng, data = np.random.default_rng(seed), bytearray(whole)
        for at in rng.integers(0, len(data), 12):
            data[at] = rng.integers(256)
        with contextlib.suppress(BadRequest):
            assert decoded(bytes(data)).dtype == np.uint8
