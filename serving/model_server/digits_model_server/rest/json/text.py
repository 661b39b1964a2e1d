"""JSON text: how REST bodies are read, and how numbers, strings and values are written.

orjson reads strict JSON, which nearly all bodies are. What it refuses goes to RapidJSON, TensorFlow Serving's
own parser, which takes NaN and Inf, knows where a value ends that text follows, and says what is wrong where.
Values in error texts have TensorFlow Serving's indentation and are cut near 256 bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from typing import Any

import numpy as np
import orjson
import rapidjson

from digits_model_server.status import invalid

# Native numbers are those of C: checked for their range, but off in the last digit at times. The others are
# Python's, which are exact.
_CHECK = rapidjson.Decoder(number_mode=rapidjson.NM_NAN | rapidjson.NM_NATIVE)
_READ = rapidjson.Decoder(number_mode=rapidjson.NM_NAN)
_ERROR = re.compile(r"Parse error at offset ([0-9]+): (.*)")
_MORE = "The document root must not be followed by other values."
_BOM = b"\xef\xbb\xbf"


def parse(body: bytes) -> dict[str, Any]:
    """The object that a body is; NaN and Inf are numbers, text after it is left. Raises Status."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    value = _value(body)
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
    return name or default


def _value(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    if body.startswith(_BOM):
        body = b" " * len(_BOM) + body[len(_BOM) :]  # so that offsets stay
    try:
        _CHECK(body)
        return _READ(body)
    except rapidjson.JSONDecodeError as error:
        found = _ERROR.fullmatch(str(error))
        assert found, error
    except UnicodeDecodeError as error:
        raise invalid(
            f"JSON Parse error: Not UTF-8. at offset: {error.start}; send such bytes as base64, "
            '{"b64": "..."}'
        ) from None
    except RecursionError:
        raise invalid(
            f"JSON Parse error: nested deeper than {sys.getrecursionlimit()}: expected tensors, as deep as "
            "their rank"
        ) from None
    place, what = int(found[1]), found[2]
    if what == _MORE:
        return _value(body[:place])
    raise invalid(f"JSON Parse error: {what} at offset: {place}")


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


ENOUGH = 256  # bytes after which nothing more is begun
LONGEST = 1024  # bytes in all: upstream begins a string of any length


def shown(value: Any) -> str:
    """The value as JSON, cut."""
    out = bytearray()
    with contextlib.suppress(_Enough):
        _put(out, value, "", 0)
    return bytes(out[:LONGEST]).decode("utf-8", "ignore")


class _Enough(Exception):
    """There is no room for more."""


def _add(out: bytearray, text: str) -> None:
    if len(out) >= ENOUGH:
        raise _Enough
    out += text.encode()


def _put(out: bytearray, value: Any, before: str, level: int) -> None:
    """One value behind what separates it from the one before; each level costs a byte, so they are few."""
    if isinstance(value, dict):
        _add(out, before + "{")
        for place, (key, each) in enumerate(value.items()):
            _add(out, (",\n" if place else "\n") + "    " * (level + 1) + _string(key))
            _put(out, each, ": ", level + 1)
        _add(out, "\n" + "    " * level + "}" if value else "}")
    elif isinstance(value, list):
        _add(out, before + "[")
        for place, each in enumerate(value):
            _put(out, each, ", " if place else "", level + 1)
        _add(out, "]")
    elif isinstance(value, str):
        _add(out, before + _string(value))
    elif isinstance(value, float):
        _add(out, before)
        if not math.isfinite(value):
            raise _Enough  # upstream can't write these, and stops
        out += _float(value).encode()
    else:
        _add(out, before + json.dumps(value))


def _string(value: str) -> str:
    return json.dumps(value[:LONGEST], ensure_ascii=False)


def _float(value: float) -> str:
    """The shortest digits that are this number, with an exponent beyond 21 places and below 1e-6."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    digits, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = digits.partition(".")
    if not exponent and len(whole) <= 21:
        return sign + digits
    figures = (whole + fraction).rstrip("0") or "0"
    point = len(whole) + int(exponent or 0)  # where the point stands, counted from the first figure
    if 0 < point <= 21:
        return f"{sign}{figures[:point].ljust(point, '0')}.{figures[point:] or '0'}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    return f"{sign}{figures[0]}{'.' if figures[1:] else ''}{figures[1:]}e{point - 1}"
