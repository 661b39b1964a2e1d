"""JSON text by the rules of TensorFlow Serving's reader, for bodies that a strict reader refuses.

It takes NaN and Inf, leaves what follows the first value, does not look at the encoding of strings, and tells
what is wrong where. Nesting costs it no stack: whatever lies deeper than any tensor becomes `DEEP`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from serving.model_server.rest.json import json_tokens

MOST_DIMENSIONS = 64  # NumPy's; TensorFlow's own are 254
ROOM = 8  # levels of a body around a tensor


class _Deep:
    """Stands for a list or an object that is nested too deeply to be kept."""


DEEP: Any = _Deep()
Edit = tuple[int, int, bytes]

# Possessive for characters only: before Python 3.11.5 a possessive group that may step back matches wrongly.
_NUMBER = rb"-?(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]{1,2}+)?(?![0-9.eE])"
_SCALAR = rb'(?:%b|"[^"\\\x00-\x1f]*+"|true|false|null|NaN)' % _NUMBER
_WS = rb"[ \t\r\n]*+"
_NAME = rb'"[^"\\\x00-\x1f]*+"%b:%b' % (_WS, _WS)


def _item(levels: int) -> bytes:
    """A value without anything special, lists and objects up to so many levels."""
    if not levels:
        return _SCALAR
    inner = _item(levels - 1)
    listed = rb"\[%b(?:%b%b(?:,%b(?!\])|(?=\])))*\]" % (_WS, inner, _WS, _WS)
    named = rb"\{%b(?:%b%b%b(?:,%b(?!\})|(?=\})))*\}" % (_WS, _NAME, inner, _WS, _WS)
    return rb"(?:%b|%b|%b)" % (_SCALAR, listed, named)


@cache
def _run() -> re.Pattern[bytes]:
    """Values and the commas behind them, read as fast as C does; compiled when it is needed first."""
    return re.compile(rb"(?:%b%b,%b){1,1000}" % (_item(3), _WS, _WS))


_OPENING = re.compile(rb"(?:\[%b)+" % _WS)
_CLOSING = re.compile(rb"(?:\]%b){1,1000}" % _WS)
_SPACE = re.compile(_WS)

_START, _OBJECT, _KEY, _COLON, _MEMBER, _NEXT_NAME, _ARRAY, _NEXT, _ELEMENT = range(9)
_WRONG = {
    _START: "The document is empty.",
    _OBJECT: "Missing a name for object member.",
    _NEXT_NAME: "Missing a name for object member.",
    _KEY: "Missing a colon after a name of object member.",
    _COLON: "Invalid value.",
    _MEMBER: "Missing a comma or '}' after an object member.",
    _ARRAY: "Invalid value.",
    _NEXT: "Invalid value.",
    _ELEMENT: "Missing a comma or ']' after an array element.",
}
_CONSTANTS = {"NaN": float("nan"), "Infinity": DEEP}
_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)


def read(data: bytes, deepest: int) -> Any:
    """The first value of a text. deepest: lists in lists that are kept; 0: as many as fit. Raises Status."""
    scan = _Scan(data, min(deepest or MOST_DIMENSIONS, MOST_DIMENSIONS) + ROOM)
    begin, end = scan.value()
    parts, place = [], begin
    for start, stop, instead in scan.edits:
        parts += [data[place:start], instead]
        place = stop
    parts.append(data[place:end])
    return _DECODER.decode(b"".join(parts).decode("utf-8", "surrogateescape"))


class _Scan:
    """One pass over a text. edits: what to write differently for Python's reader."""

    def __init__(self, data: bytes, deepest: int) -> None:
        self._data, self._deepest = data, deepest
        self._open = bytearray()  # the brackets around the place
        self._deep_from = 0
        self.edits: list[Edit] = []

    def value(self) -> tuple[int, int]:
        """Where the first value begins and ends. Raises Status."""
        data = self._data
        place = begin = self._space(3 if data.startswith(b"\xef\xbb\xbf") else 0)
        state = _START
        while True:
            state, place = self._step(state, place, data[place : place + 1])
            if state == _START:
                return begin, place
            place = self._space(place)

    def _step(self, state: int, place: int, char: bytes) -> tuple[int, int]:
        if state in (_ARRAY, _NEXT) and (run := _run().match(self._data, place)):
            return _NEXT, run.end()
        if state in (_START, _COLON, _ARRAY, _NEXT):
            if char == b"[":
                return self._open_lists(place)
            if char == b"{":
                self._enter(b"{", place)
                return _OBJECT, place + 1
            if char and char not in b"]},:\0":
                end, instead = json_tokens.scalar(self._data, place)
                if instead and len(self._open) <= self._deepest:
                    self.edits.append((place, end, instead))
                return self._after(), end
        if char == b'"' and state in (_OBJECT, _NEXT_NAME):
            return _KEY, json_tokens.string(self._data, place)
        if char == b":" and state == _KEY:
            return _COLON, place + 1
        if char == b"," and state in (_MEMBER, _ELEMENT):
            return _NEXT_NAME if state == _MEMBER else _NEXT, place + 1
        if char == b"}" and state in (_OBJECT, _MEMBER):
            return self._leave(1, place + 1), place + 1
        if char == b"]" and state in (_ARRAY, _ELEMENT):
            return self._close_lists(place)
        raise json_tokens.wrong(_WRONG[state], place)

    def _after(self) -> int:
        """The state behind a value; _START: it was the outermost."""
        return (_ELEMENT if self._open[-1:] == b"[" else _MEMBER) if self._open else _START

    def _open_lists(self, place: int) -> tuple[int, int]:
        found = _OPENING.match(self._data, place)
        assert found
        self._enter(b"[" * self._data.count(b"[", place, found.end()), place)
        return _ARRAY, found.end()

    def _close_lists(self, place: int) -> tuple[int, int]:
        found = _CLOSING.match(self._data, place)
        assert found
        count = self._data.count(b"]", place, found.end())
        if count > 1 and len(self._open) - count > self._deepest and self._open[-count:] == b"[" * count:
            return self._leave(count, found.end()), found.end()
        return self._leave(1, place + 1), place + 1

    def _enter(self, brackets: bytes, place: int) -> None:
        depth = len(self._open)
        self._open += brackets
        if depth <= self._deepest < len(self._open):
            for _ in range(self._deepest - depth):  # the first that is too deep
                place = self._data.index(b"[", place) + 1
            self._deep_from = self._data.index(brackets[:1], place)

    def _leave(self, count: int, end: int) -> int:
        depth = len(self._open)
        del self._open[-count:]
        if depth > self._deepest >= len(self._open):
            self.edits.append((self._deep_from, end, b"Infinity"))  # read as DEEP
        return self._after()

    def _space(self, place: int) -> int:
        found = _SPACE.match(self._data, place)
        assert found
        return found.end()
