"""Pictures of digits as people would send them, good and hostile."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageOps


def encode(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def page(image: np.ndarray, side: int = 120, place: tuple[float, float] = (0.5, 0.5)) -> Image.Image:
    """Return the digit, `side` pixels large, white on black, on a larger page."""
    large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    made = Image.new("L", (side * 5 // 4, side * 3 // 2))
    made.paste(large, (int((made.width - side) * place[0]), int((made.height - side) * place[1])))
    return made


def kinds(image: np.ndarray) -> dict[str, bytes]:
    """Return one digit in every form that must be readable."""
    white, black = page(image), ImageOps.invert(page(image))
    colour = ImageOps.colorize(page(image, place=(0.9, 0.1)), (230, 225, 190), (40, 50, 150))
    clear = Image.new("LA", white.size)
    clear.putalpha(white)  # black ink, nothing else
    bright = Image.merge("RGBA", [Image.new("L", white.size, 255)] * 3 + [white])
    palette = black.quantize(16)
    return {
        "white on black": encode(white),
        "black on white": encode(black),
        "jpeg": encode(black, "JPEG"),
        "progressive jpeg": encode(colour, "JPEG", progressive=True),
        "colour": encode(colour),
        "colour jpeg": encode(colour, "JPEG"),
        "cmyk jpeg": encode(colour.convert("CMYK"), "JPEG"),
        "two levels": encode(black.point(lambda level: 255 * (level > 127)).convert("1")),
        "palette": encode(palette),
        "transparent palette": encode(palette, transparency=int(np.asarray(palette)[0, 0])),
        "16 bit": encode(Image.fromarray(np.asarray(black).astype(np.uint16) * 257)),
        "interlaced by hand": encode(black.convert("RGB"), interlace=1),
        "black ink on nothing": encode(clear),
        "white ink on nothing": encode(bright),
        "animated": encode(
            black.convert("RGB"), save_all=True, append_images=[Image.new("RGB", black.size, "white")]
        ),
        "60 pixels": encode(page(image, 40)),
        "600 pixels": encode(ImageOps.invert(page(image, 480)), "JPEG"),
        "MNIST itself": encode(Image.fromarray(image)),
    }


def png_claiming(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims a size."""
    made = bytearray(encode(Image.new("L", (28, 28))))
    made[16:24] = struct.pack(">II", width, height)
    made[29:33] = struct.pack(">I", zlib.crc32(bytes(made[12:29])))
    return bytes(made)


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a tiny JPEG whose header claims a size."""
    made = bytearray(encode(Image.new("L", (28, 28)), "JPEG"))
    start = made.index(b"\xff\xc0")
    made[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(made)


def hostile() -> dict[str, tuple[bytes, str]]:
    """Return files that must be refused, each with a part of the error."""
    png, jpeg = encode(Image.linear_gradient("L")), encode(Image.linear_gradient("L"), "JPEG")
    return {
        "png bomb": (png_claiming(50_000, 50_000), "is 50000 pixels wide and 50000 high"),
        "jpeg bomb": (jpeg_claiming(50_000, 50_000), "is 50000 pixels wide and 50000 high"),
        "png of 2**31 columns": (png_claiming(2**31, 1), "pixels wide"),
        "png of no rows": (png_claiming(28, 0), "is 28 pixels wide and 0 high"),
        "cut png": (png[: len(png) // 2], "Invalid PNG"),
        "png header alone": (png[:20], "pixels wide"),
        "cut jpeg": (jpeg[: len(jpeg) * 3 // 4], "Invalid JPEG"),
        "jpeg header alone": (jpeg[:20], "Invalid JPEG"),
        "gif": (encode(Image.linear_gradient("L"), "GIF"), "neither a PNG nor a JPEG"),
        "bmp": (encode(Image.linear_gradient("L"), "BMP"), "neither a PNG nor a JPEG"),
        "webp": (encode(Image.linear_gradient("L"), "WEBP"), "neither a PNG nor a JPEG"),
        "garbage": (b"\x00\x01 not a picture" * 9, "neither a PNG nor a JPEG"),
        "nothing": (b"", "neither a PNG nor a JPEG"),
        "blank": (encode(Image.new("L", (90, 90), 255)), "is blank"),
        "wholly transparent": (encode(Image.new("RGBA", (90, 90))), "is blank"),
    }


def letter(sign: str) -> np.ndarray:
    """Return a letter on paper, uint8 [200, 200]."""
    photo = np.full((200, 200), 225, np.uint8)
    cv2.putText(photo, sign, (60, 140), cv2.FONT_HERSHEY_SIMPLEX, 3, 40, 6, cv2.LINE_AA)
    return photo


def cat() -> np.ndarray:
    """Return the face of a cat, uint8 [400, 400, 3]."""
    photo = np.full((400, 400, 3), (210, 200, 180), np.uint8)
    fur, dark = (90, 110, 150), (30, 30, 30)
    cv2.ellipse(photo, (200, 220), (110, 95), 0, 0, 360, fur, -1)
    for side in (-1, 1):
        ear = np.array([[200 + side * 100, 90], [200 + side * 105, 190], [200 + side * 35, 140]])
        cv2.fillPoly(photo, [ear], fur)
        cv2.ellipse(photo, (200 + side * 45, 200), (18, 12), 0, 0, 360, (80, 200, 120), -1)
        cv2.ellipse(photo, (200 + side * 45, 200), (4, 12), 0, 0, 360, dark, -1)
        for down in (-12, 0, 12):
            cv2.line(photo, (200 + side * 20, 250), (200 + side * 130, 250 + 2 * down), dark, 2)
    cv2.ellipse(photo, (200, 262), (22, 12), 0, 0, 180, dark, 3)
    return photo
