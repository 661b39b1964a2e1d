"""Checks the JSON of a correction, and makes of it an image, the model's answer and a person's label."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.runtime.errors import DataError

SIDE = 28
PIXELS = SIDE * SIDE
LABELS = range(10)
SOURCES = ("drawing", "photo")
MODES = ("server", "browser")
HIGHEST = 2**31 - 1  # of a version's number: what a database's integer holds
REQUIRED = ("image", "label", "source", "mode")
OPTIONAL = ("digit", "confidence", "version")

# As `digits.normalize` and `digits.ink` have them: what has less would be refused after its review only.
BLANK = 10  # grey levels between paper and the strongest ink
EDGE = 0.3  # of the strongest: what is above is ink
LEAST = 8  # pixels of ink


@dataclass(frozen=True, slots=True)
class Correction:
    """What the model was asked and what a person says of it."""

    image: bytes  # 784, white ink on black: what the model was asked
    label: int  # what the person says
    digit: int | None  # what the model said
    confidence: float | None
    version: int | None
    source: str  # drawing, photo
    mode: str  # server, browser

    @property
    def digest(self) -> str:
        """sha256 of the image, in hexadecimal."""
        return hashlib.sha256(self.image).hexdigest()


def correction(tree: Any) -> Correction:
    """Of a request's JSON. Raises DataError, one line, when something is missing, strange or out of range."""
    if not isinstance(tree, Mapping):
        raise DataError(f"a correction is a JSON object with {', '.join(REQUIRED)}; this is {_kind(tree)}")
    if missing := [name for name in REQUIRED if name not in tree]:
        raise DataError(f"the correction lacks {' and '.join(missing)}")
    if strange := sorted(str(name) for name in tree if name not in (*REQUIRED, *OPTIONAL)):
        raise DataError(
            f"a correction has no '{strange[0][:40]}'; expected {', '.join((*REQUIRED, *OPTIONAL))}"
        )
    return Correction(
        image=_image(tree["image"]),
        label=_integer("label", tree["label"], LABELS),
        digit=_maybe("digit", tree.get("digit"), LABELS),
        confidence=_share(tree.get("confidence")),
        version=_maybe("version", tree.get("version"), range(1, HIGHEST + 1)),
        source=_one_of("source", tree["source"], SOURCES),
        mode=_one_of("mode", tree["mode"], MODES),
    )


def has_ink(image: bytes) -> bool:
    """Whether 784 grey levels, of either polarity, hold enough ink to be a digit."""
    levels = np.frombuffer(image, np.uint8).reshape(SIDE, SIDE).astype(np.int64)
    border = np.concatenate([levels[0], levels[-1], levels[1:-1, 0], levels[1:-1, -1]])
    apart = levels - np.sort(border)[len(border) // 2]
    bright, dark = np.maximum(apart, 0), np.maximum(-apart, 0)
    ink = bright if (bright**2).sum() >= (dark**2).sum() else dark
    return bool(ink.max() >= BLANK and (ink > EDGE * ink.max()).sum() >= LEAST)


def _image(value: Any) -> bytes:
    if not isinstance(value, str):
        raise DataError(f"the image is {_kind(value)}; expected {PIXELS} bytes in base64")
    try:
        image = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"the image is no base64; expected {PIXELS} bytes in it") from None
    if len(image) != PIXELS:
        raise DataError(f"the image has {len(image)} bytes, expected {PIXELS}: 28 rows of 28 grey levels")
    if not has_ink(image):
        raise DataError("the image is blank, or nearly so: there is no digit to learn from")
    return image


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
