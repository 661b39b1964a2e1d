"""JSON text ↔ values, with the liberties and the number formats of TensorFlow Serving."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import orjson

from serving.model_server.rest.json import json_scan
from serving.model_server.rest.json.json_shown import shown
from serving.model_server.status import Status, invalid


def parse(body: bytes, deepest: int) -> dict[str, Any]:
    """The object that a body is; NaN and Inf are numbers, text after it is left. Raises Status."""
    try:
        value = orjson.loads(body)  # strict and fast; what it refuses is looked at again
    except orjson.JSONDecodeError:
        if not body:
            raise invalid("JSON Parse error: The document is empty") from None
        value = json_scan.read(body, deepest)
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {shown(value)} Is not object")
    return value


def signature_name(document: dict[str, Any], default: str) -> str:
    """The signature that a body asks for. Raises Status."""
    name = document.get("signature_name", default)
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string "
            "value."
        )
    return name.encode("utf-8", "replace").decode() or default


def too_deep(deepest: int) -> Status:
    """Lists in lists beyond the limit."""
    return invalid(
        f"JSON Parse error: nested deeper than {deepest}: expected tensors, as deep as their rank; "
        "--max_json_depth sets the limit"
    )


def kind(value: Any) -> str:
    """The name of a value's type in error texts."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, str):
        return "String"
    return "Number" if isinstance(value, int | float) else "Array"


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
