"""JSON text ↔ values, with the liberties and the number formats of TensorFlow Serving."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import orjson

from serving.model_server.statuses import invalid

_DECODER = json.JSONDecoder()


def parse(body: bytes, deepest: int) -> Any:
    """The first value of a body; NaN and Infinity are numbers, text after it is left. Raises Status."""
    try:
        return orjson.loads(body)  # strict and fast; what it refuses is looked at again
    except orjson.JSONDecodeError:
        pass
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from None
    stripped = text.lstrip(" \t\r\n")
    start = len(text) - len(stripped)
    if not stripped:
        raise invalid("JSON Parse error: The document is empty")
    try:
        return _DECODER.raw_decode(text, start)[0]
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid value. at offset: {error.pos}") from None
    except RecursionError:
        raise too_deep(deepest) from None


def too_deep(deepest: int) -> Exception:
    """Lists in lists beyond the limit."""
    return invalid(
        f"JSON Parse error: nested deeper than {deepest or 'this server can read'}: expected tensors, as "
        "deep as their rank; --max_json_depth sets the limit"
    )


def kind(value: Any) -> str:
    """The name of a value's type in error texts."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return "String" if isinstance(value, str) else "Number"


def shown(value: Any, longest: int = 256) -> str:
    """A value as JSON, cut."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        text = "…"
    return text if len(text) <= longest else text[:longest] + "..."


def number(value: float, single: bool) -> str:
    """A float in 6 digits where they are enough, else in 9 (single precision) or 17."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    back = float(text)
    if (float(np.float32(back)) if single else back) != value:
        text = f"{value:.9g}" if single else f"{value:.17g}"
    return text if "." in text or "e" in text else text + ".0"


def string(value: str) -> str:
    """A JSON string."""
    return json.dumps(value, ensure_ascii=False)
