"""Refuses a large predict body that no model can take by its brackets and commas, before it is parsed.

Parsed, a number of two bytes takes 8 to 32 and an empty list 64, and lists of unequal lengths are read one
item at a time. Here nothing is made but the outline: the body without numbers, white space and the content
of strings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from digits_model_server.limits import Limits
from digits_model_server.runtime.saved_model import Signature
from digits_model_server.runtime.tensors import BOOL
from digits_model_server.status import Status, invalid

SMALL = 1 << 18  # bytes of a body that is parsed as it is: the worst costs a third of a second
EXTRA = 1000  # keys of an object, and values beside the tensors'
STEP = 1 << 16  # bytes that are looked at together
_BOM = b"\xef\xbb\xbf"
COMMA, QUOTE = ord(","), ord('"')
_WORDS = bytes.maketrans(b"s", b"u")  # then true, false and null each leave a u, NaN and Infinity nothing
_DROPPED = b" \t\r\n0123456789.+-eE:NaInfityrl"
_LEVELS = np.zeros(256, np.int8)
_LEVELS[[ord(sign) for sign in "[{"]], _LEVELS[[ord(sign) for sign in "]}"]] = 1, -1


def check_parts(body: bytes, most: int) -> None:
    """Refuse a body with more lists, objects and strings than that, by its brackets and quotes; 0 for any.

    Brackets inside strings count, escaped quotes don't, and a string that ends in a backslash counts half.
    Raises Status.
    """
    if not most or len(body) <= most:
        return
    signs = np.frombuffer(body, np.uint8)  # NumPy counts twice as fast as bytes do
    lists, objects, quotes = (np.count_nonzero(signs == ord(sign)) for sign in '[{"')
    count = lists + objects + quotes // 2
    if count > most and count - body.count(b'\\"') // 2 > most:
        raise invalid(
            f"the request has more than {most} lists, objects and strings: send less at once, or raise "
            "--max_json_parts"
        )


def check_predict(body: bytes, signatures: Iterable[Signature], limits: Limits) -> None:
    """Refuse a large body with more rows or values than any of the signatures takes, with rows of unequal
    shape, or with true, false or null where no input is boolean. Raises Status.
    """
    tensors = [list(signature.inputs.values()) for signature in signatures]
    shapes = [[tensor.shape for tensor in each] for each in tensors]
    rows = max((_rows(shape, limits) for each in shapes for shape in each), default=math.inf)
    most = max((sum(_size(shape, limits) for shape in each) for each in shapes), default=math.inf)
    boolean = any(tensor.dtype == BOOL for each in tensors for tensor in each)
    document = outline(body)
    if document.count(b",") > most + EXTRA:
        raise invalid(f"the request has more values than the model takes, {most:.0f}: send less at once")
    for value in _values(document):
        if b"u" in value[1:] and not boolean:
            raise invalid("JSON Value: true, false or null in lists for a model without boolean inputs")
        for each in _values(value) if value.startswith(b"{") else [value]:
            _check_lists(each, rows)


def check_examples(body: bytes, limits: Limits) -> None:
    """Refuse a large body with more examples than a request may have rows. Raises Status."""
    most = limits.batch_rows or math.inf
    for value in _values(outline(body)):
        if value.startswith(b"[") and _items(value, most) is None:
            raise _too_many(most)


def outline(body: bytes) -> bytes:
    """Return the brackets, the braces and the commas of JSON text, a quote for each string and a u for each
    true, false or null; what is no JSON stays.
    """
    if b"\\" in body:  # pairs first: what is left before a quote makes it part of the string
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts, within = [], 0
    for start in range(0, len(body), STEP):
        block = np.frombuffer(body, np.uint8, min(STEP, len(body) - start), start)
        quotes = block == QUOTE
        if within or quotes.any():
            odd = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(within)) & 1  # wraps at 256, which is even
            within = int(odd[-1])
            block = block[odd == 0]
        parts.append(block.tobytes().translate(_WORDS, _DROPPED))
    return b"".join(parts)


def _values(document: bytes) -> list[bytes]:
    """Return the outlines of an object's values. Raises Status for more than a request can name."""
    document = document.removeprefix(_BOM)
    if not document.startswith(b"{"):
        raise invalid("JSON Value: Is not object")
    values = _items(document, EXTRA)
    if values is None:
        raise invalid(f"JSON Parse error: an object of more than {EXTRA} keys")
    return [value.removeprefix(b'"') for value in values]


def _check_lists(value: bytes, most: float) -> None:
    """Check that the lists on each level of an outline are equal, as those of a tensor are. Objects and
    strings are left to the parser. most: rows. Raises Status.
    """
    while value.startswith(b"["):
        numbers = not value[1:-1].strip(b",u")
        parts = most if numbers else sum(value.count(sign) for sign in (b"[", b"{", b'"'))
        if numbers and value.count(b",") < most:
            return
        items = None if numbers else _items(value, min(parts, most))
        if items is None and parts >= most:
            raise _too_many(most)
        value, most = items[0] if items else b"", math.inf
        plain = not value.strip(b"[],u")  # else two of them may say the same in other ways
        commas = value.count(b",")
        if not items or any(each != value if plain else each.count(b",") != commas for each in items):
            raise invalid("the request's lists are of unequal lengths: expected rows of the same shape")


def _items(value: bytes, most: float) -> list[bytes] | None:
    """Return the outlines of the items of a list, or of an object with their keys; None for more than `most`.

    Raises Status where it has no end.
    """
    cuts, depth = [0], 0
    for start in range(0, len(value), STEP):
        block = np.frombuffer(value, np.uint8, min(STEP, len(value) - start), start)
        levels = np.cumsum(_LEVELS[block], dtype=np.int32) + depth
        depth = int(levels[-1])
        ends = np.flatnonzero(levels == 0)[:1]
        cuts += (np.flatnonzero((block == COMMA) & (levels == 1)) + start).tolist()
        if len(ends):
            end = start + int(ends[0])
            cuts = [cut for cut in cuts if cut < end]
        if len(cuts) > most:
            return None
        if len(ends):
            return [value[a + 1 : b] for a, b in itertools.pairwise([*cuts, end])]
    raise invalid("JSON Parse error: the text ends within a list or an object")


def _too_many(most: float) -> Status:
    return invalid(
        f"the request has more than {most:.0f} rows: send smaller batches, or raise --max_batch_rows"
    )


def _rows(shape: tuple[int, ...] | None, limits: Limits) -> float:
    """Return how many rows an input takes."""
    if shape is None or (shape and shape[0] < 0 and not limits.batch_rows):
        return math.inf
    return max(1, limits.batch_rows if shape[0] < 0 else shape[0]) if shape else 1


def _size(shape: tuple[int, ...] | None, limits: Limits) -> float:
    """Return how many values an input takes."""
    if shape is None or any(size < 0 for size in shape[1:]):
        return math.inf
    return _rows(shape, limits) * math.prod(shape[1:]) if shape else 1
