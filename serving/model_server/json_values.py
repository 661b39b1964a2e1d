"""One JSON value → a value of a tensor's type."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np

from serving.model_server import dtypes, json_text
from serving.model_server.dtypes import BFLOAT16, BOOL, DOUBLE, FLOAT, HALF, STRING
from serving.model_server.statuses import Status, invalid

FLOATS = (FLOAT, DOUBLE, HALF, BFLOAT16)
UNMAPPED = (8, 18)  # complex numbers have no JSON form


def reader(number: int) -> Callable[[Any], Any]:
    """What reads one JSON value as a DataType; it raises Status for one that does not fit."""
    word = dtypes.name(number)

    def refuse(value: Any) -> Status:
        return invalid(
            f"JSON Value: {json_text.shown(value)} Type: {json_text.kind(value)} is not of expected "
            f"type: {word}"
        )

    def read_float(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse(value)
        with np.errstate(over="ignore"):
            return np.float32(value) if number != DOUBLE else float(value)

    def read_int(value: Any) -> int:
        limits = np.iinfo(dtypes.numpy_dtype(number))
        if isinstance(value, bool) or not isinstance(value, int) or not limits.min <= value <= limits.max:
            raise refuse(value)
        return value

    def read_bool(value: Any) -> bool:
        if not isinstance(value, bool):
            raise refuse(value)
        return value

    if number in UNMAPPED:
        raise invalid(f"JSON has no form for {word}: use gRPC")
    if number in FLOATS:
        return read_float
    return {STRING: text_bytes, BOOL: read_bool}.get(number, read_int)


def text_bytes(value: Any) -> bytes:
    """The bytes of a JSON string or of {"b64": …}. Raises Status."""
    if is_b64(value):
        return _unpacked(value["b64"])
    if not isinstance(value, str):
        raise invalid(
            f"JSON Value: {json_text.shown(value)} Type: {json_text.kind(value)} is not of expected type: "
            "string"
        )
    return value.encode("utf-8", "surrogatepass")


def is_b64(value: Any) -> bool:
    """Whether a value is {"b64": …}."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:  # the alphabet of URLs is taken too, with or without padding
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None
