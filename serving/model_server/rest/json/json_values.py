"""One JSON value → a value of a tensor's type."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import numpy as np

from serving.model_server.rest.json import text
from serving.model_server.rest.json.json_shown import shown
from serving.model_server.runtime import dtypes
from serving.model_server.runtime.dtypes import BOOL, DOUBLE, FLOAT, STRING
from serving.model_server.status import UNIMPLEMENTED, Status, invalid

FLOATS = (FLOAT, DOUBLE)
MAPPED = (*FLOATS, 3, 4, 5, 6, STRING, 9, BOOL, 22, 23)  # the types that JSON requests can carry


def reader(number: int) -> Callable[[Any], Any]:
    """What reads one JSON value, no list, as a DataType; it raises Status for one that does not fit."""
    word = dtypes.name(number)

    def refuse(value: Any) -> Status:
        return invalid(f"JSON Value: {shown(value)} Type: {text.kind(value)} is not of expected type: {word}")

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

    def read_string(value: Any) -> bytes:
        if isinstance(value, str):
            return text_bytes(value)
        if is_b64(value):
            return unpacked(value["b64"])
        if isinstance(value, dict):
            raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        raise refuse(value)

    def unmapped(value: Any) -> Any:
        if isinstance(value, dict):
            raise refuse(value)
        raise Status(UNIMPLEMENTED, f"Conversion of JSON Value: {shown(value)} to type: {word}")

    if number not in MAPPED:
        return unmapped
    if number in FLOATS:
        return read_float
    return {STRING: read_string, BOOL: read_bool}.get(number, read_int)


def text_bytes(value: str) -> bytes:
    """The bytes of a JSON string, those too that are no UTF-8."""
    return value.encode("utf-8", "surrogateescape")


def is_b64(value: Any) -> bool:
    """Whether a value is {"b64": …}."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def unpacked(text: str) -> bytes:
    """The bytes of base64, with or without padding, white space or the alphabet of URLs. Raises Status."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    bare = "".join(text.split())
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None
