"""Checks the JSON of a correction, and makes of it an image, the model's answer and a person's label.

A digit comes with its 28 × 28 pixels and the right digit, a line with a PNG file of its 32 rows and its text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.runtime.errors import DataError
from digits_client.contract import HEIGHT, LONGEST, WIDEST
from serving.app.feedback import DIGIT, LINE

SIDE = 28
PIXELS = SIDE * SIDE
ROWS = {DIGIT: SIDE, LINE: HEIGHT}  # pixels down an image
NARROWEST, COLUMN = (
    8,
    4,
)  # pixels: as `digits_client.reading` cuts lines; as the model has room for a character
LABELS = range(10)
TEXT = re.compile("[.,]?[0-9]+(?:[., ][0-9]+)*[.,]?|")  # what a line says; nothing: it has no digits
SAID = re.compile(f"[0-9.]{{0,{LONGEST}}}")  # what the model says of a line
SOURCES = ("drawing", "photo")
MODES = ("server", "browser")
HIGHEST = 2**31 - 1  # of a version's number: what a database's integer holds
# What the JSON must have, and may have.
REQUIRED = {DIGIT: ("image", "label", "source", "mode"), LINE: ("line", "text", "source", "mode")}
OPTIONAL = {DIGIT: ("digit", "confidence", "version"), LINE: ("said", "confidence", "version")}

# As `digits.normalize` and `digits.ink` have them: what has less would be refused after its review only.
BLANK = 10  # grey levels between paper and the strongest ink
EDGE = 0.3  # of the strongest: what is above is ink
LEAST = 8  # pixels of ink


@dataclass(frozen=True, slots=True)
class Correction:
    """What the model was asked and what a person says of it."""

    kind: str  # digit, line
    image: (
        bytes  # what the model was asked: 784 grey levels, white ink on black; of a line 32 rows of any ink
    )
    label: str  # what the person says: a digit; of a line its text, which may be empty
    said: str | None  # what the model said
    confidence: float | None
    version: int | None
    source: str  # drawing, photo
    mode: str  # server, browser

    @property
    def digest(self) -> str:
        """sha256 of the image, in hexadecimal. The length tells the kind, and how wide a line is."""
        return hashlib.sha256(self.image).hexdigest()


def correction(tree: Any) -> Correction:
    """Of a request's JSON. Raises DataError, one line, when something is missing, strange or out of range."""
    if not isinstance(tree, Mapping):
        names = " or ".join(", ".join(names) for names in REQUIRED.values())
        raise DataError(f"a correction is a JSON object with {names}; this is {_kind(tree)}")
    kind = LINE if "line" in tree else DIGIT
    required, optional = REQUIRED[kind], OPTIONAL[kind]
    if missing := [name for name in required if name not in tree]:
        raise DataError(f"the correction lacks {' and '.join(missing)}")
    if strange := sorted(str(name) for name in tree if name not in (*required, *optional)):
        raise DataError(
            f"a {kind}'s correction has no '{strange[0][:40]}'; expected {', '.join((*required, *optional))}"
        )
    if kind == LINE:
        image = _line(tree["line"])
        label, said = _text(tree["text"], image), _said(tree.get("said"))
    else:
        image = _image(tree["image"])
        label = str(_integer("label", tree["label"], LABELS))
        digit = _maybe("digit", tree.get("digit"), LABELS)
        said = None if digit is None else str(digit)
    return Correction(
        kind=kind,
        image=image,
        label=label,
        said=said,
        confidence=_share(tree.get("confidence")),
        version=_maybe("version", tree.get("version"), range(1, HIGHEST + 1)),
        source=_one_of("source", tree["source"], SOURCES),
        mode=_one_of("mode", tree["mode"], MODES),
    )


def check_label(kind: str, label: str, image: bytes) -> None:
    """Raise DataError for what a reviewer can't call an image."""
    if kind == LINE:
        _text(label, image)
    elif label not in set(map(str, LABELS)):
        raise DataError(f"the label is '{label[:30]}', expected a digit")


def levels(kind: str, image: bytes) -> NDArray[np.uint8]:
    """The grey levels of a correction's image, uint8 [h, w]."""
    return np.frombuffer(image, np.uint8).reshape(ROWS[kind], -1)


def ink(levels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """By how many grey levels pixels [h, w] differ from the border's, on the side where more does."""
    border = np.concatenate([levels[0], levels[-1], levels[1:-1, 0], levels[1:-1, -1]])
    apart = levels.astype(np.int64) - int(np.sort(border)[len(border) // 2])
    bright, dark = np.maximum(apart, 0), np.maximum(-apart, 0)
    return bright if (bright**2).sum() >= (dark**2).sum() else dark


def has_ink(image: bytes) -> bool:
    """Whether 784 grey levels, of either polarity, hold enough ink to be a digit."""
    found = ink(levels(DIGIT, image))
    return bool(found.max() >= BLANK and (found > EDGE * found.max()).sum() >= LEAST)


def _image(value: Any) -> bytes:
    image = _base64("image", value, f"{PIXELS} bytes")
    if len(image) != PIXELS:
        raise DataError(f"the image has {len(image)} bytes, expected {PIXELS}: 28 rows of 28 grey levels")
    if not has_ink(image):
        raise DataError("the image is blank, or nearly so: there is no digit to learn from")
    return image


def _line(value: Any) -> bytes:
    """The grey levels of a PNG file."""
    wanted = f"a PNG file of 8-bit grey, {HEIGHT} pixels high and {NARROWEST} to {WIDEST} wide"
    data = _base64("line", value, wanted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of what a header claims; it is checked here, before it is decoded
            picture = Image.open(io.BytesIO(data), formats=("PNG",))
            width, height = picture.size
            fits = picture.mode == "L" and height == HEIGHT and NARROWEST <= width <= WIDEST
            image = picture.tobytes() if fits else b""
    except Exception:  # Pillow's decoder raises whatever damaged headers or pixels lead to
        raise DataError(f"the line is no PNG file, or a damaged one; expected {wanted}") from None
    if not fits:
        raise DataError(
            f"the line is a picture of {width} × {height} pixels, mode {picture.mode}; expected {wanted}"
        )
    if int(np.ptp(levels(LINE, image))) < BLANK:
        raise DataError("the line is blank, or nearly so: there is nothing to learn from")
    return image


def _text(value: Any, image: bytes) -> str:
    """What a line says, if a line of this width can."""
    wanted = "digits, with one point, comma or space between two of them, or nothing where there are none"
    if not isinstance(value, str) or not TEXT.fullmatch(value):
        shown = repr(value[:30]) if isinstance(value, str) else _kind(value)
        raise DataError(f"text is {shown}, expected {wanted}")
    width = len(image) // HEIGHT
    most = min(LONGEST, width // COLUMN)
    if len(value) > most:
        raise DataError(
            f"text has {len(value)} characters, expected at most {most} for a line {width} pixels wide"
        )
    return value


def _said(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not SAID.fullmatch(value):
        shown = repr(value[:30]) if isinstance(value, str) else _kind(value)
        raise DataError(f"said is {shown}, expected up to {LONGEST} digits and points")
    return value


def _base64(name: str, value: Any, wanted: str) -> bytes:
    if not isinstance(value, str):
        raise DataError(f"the {name} is {_kind(value)}; expected {wanted} in base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"the {name} is no base64; expected {wanted} in it") from None


def _integer(name: str, value: Any, within: range) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in within:
        shown = value if isinstance(value, int) and abs(value) < 10**9 else _kind(value)
        raise DataError(f"{name} is {shown}, expected a whole number of {within[0]} to {within[-1]}")
    return value


def _maybe(name: str, value: Any, within: range) -> int | None:
    return None if value is None else _integer(name, value, within)


def _share(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else _kind(value)
        raise DataError(f"confidence is {shown}, expected a number of 0 to 1")
    return float(value)


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        shown = f"'{value[:20]}'" if isinstance(value, str) else _kind(value)
        raise DataError(f"{name} is {shown}, expected {' or '.join(known)}")
    return value


def _kind(value: Any) -> str:
    """What a JSON value is, for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    names = {str: "a text", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")
