"""Reading of REST bodies: JSON text to Python objects, with TensorFlow Serving's liberties and error texts.

orjson reads strict JSON, which nearly all bodies are. What it refuses goes to RapidJSON, TensorFlow Serving's
own parser, which takes NaN and Inf, knows where a value ends that text follows, and says what is wrong where.
Before either, the parts of a large body are counted, since an empty list of 2 bytes becomes 64 in memory.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import orjson
import rapidjson

from serving.model_server.rest.json.text import shown
from serving.model_server.status import invalid

# Native numbers are those of C: checked for their range, but off in the last digit at times. The others are
# Python's, which are exact.
_CHECK = rapidjson.Decoder(number_mode=rapidjson.NM_NAN | rapidjson.NM_NATIVE)
_READ = rapidjson.Decoder(number_mode=rapidjson.NM_NAN)
_ERROR = re.compile(r"Parse error at offset ([0-9]+): (.*)")
_MORE = "The document root must not be followed by other values."
_BOM = b"\xef\xbb\xbf"


def parse(body: bytes, most: int) -> dict[str, Any]:
    """The object that a body is; NaN and Inf are numbers, text after it is left.

    most: lists, objects and strings that it may have, 0 for any. Raises Status.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if most:
        _bound(body, most)
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


def _bound(body: bytes, most: int) -> None:
    """Refuse a body with more lists, objects and strings than that, by its brackets and quotes.

    Brackets inside strings count, escaped quotes don't, and a string that ends in a backslash counts half.
    Raises Status.
    """
    if len(body) <= most:
        return
    signs = np.frombuffer(body, np.uint8)  # NumPy counts twice as fast as bytes do
    lists, objects, quotes = (np.count_nonzero(signs == ord(sign)) for sign in '[{"')
    count = lists + objects + quotes // 2
    if count > most and count - body.count(b'\\"') // 2 > most:
        raise invalid(
            f"the request has more than {most} lists, objects and strings: send less at once, or raise "
            "--max_json_parts"
        )


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
