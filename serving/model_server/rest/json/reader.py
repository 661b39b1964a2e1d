"""A JSON reader by the rules of TensorFlow Serving's, for bodies that a strict reader refuses.

It takes NaN and Inf, leaves what follows the first value, does not look at the encoding of strings, and says
what is wrong where. Nesting costs it no stack: whatever lies deeper than any tensor becomes `DEEP`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from serving.model_server.status import Status, invalid

_DIGITS = re.compile(rb"[0-9]*+")
_INTEGER = re.compile(rb"0|[1-9][0-9]*+")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*+')
_HEX = re.compile(rb"[0-9a-fA-F]{4}")
_SURROGATES = "The surrogate pair in string is invalid."


def wrong(text: str, place: int) -> Status:
    """What is wrong with a text, and where."""
    return invalid(f"JSON Parse error: {text} at offset: {place}")


def scalar(data: bytes, place: int) -> tuple[int, bytes]:
    """Where the string, word or number at a place ends; what Python's reader is to find instead, or nothing.

    Raises Status.
    """
    char = data[place : place + 1]
    if char == b'"':
        return string(data, place), b""
    for word in (b"true", b"false", b"null"):
        if char == word[:1]:
            return _word(data, word, place), b""
    return _number(data, place)


def _word(data: bytes, word: bytes, place: int) -> int:
    for wanted in word:
        if data[place : place + 1] != bytes([wanted]):
            raise wrong("Invalid value.", place)
        place += 1
    return place


def _number(data: bytes, start: int) -> tuple[int, bytes]:
    place = start + (data[start : start + 1] == b"-")
    if data[place : place + 1] in (b"N", b"I"):
        return _no_number(data, start, place)
    found = _INTEGER.match(data, place)
    if not found:
        raise wrong("Invalid value.", place)
    place, whole = found.end(), True
    if data[place : place + 1] == b".":
        place, whole = _some_digits(data, place + 1, "Miss fraction part in number."), False
    if data[place : place + 1] in (b"e", b"E"):
        place += 1 + (data[place + 1 : place + 2] in (b"+", b"-"))
        place, whole = _some_digits(data, place, "Miss exponent in number."), False
    number = data[start:place]
    if abs(float(number)) == float("inf"):
        raise wrong("Number too big to be stored in double.", start)
    if whole and len(number) > 18 and not -(2**63) <= int(number) < 2**64:
        return place, number + b".0"
    return place, b""


def _some_digits(data: bytes, place: int, missing: str) -> int:
    found = _DIGITS.match(data, place)
    if not found or found.end() == place:
        raise wrong(missing, place)
    return found.end()


def _no_number(data: bytes, start: int, place: int) -> tuple[int, bytes]:
    if data[place : place + 1] == b"N":
        return _word(data, b"NaN", place), b"NaN"
    end = _word(data, b"Inf", place)
    if data[end : end + 1] == b"i":
        end = _word(data, b"inity", end)
    return end, b"-1e999" if place > start else b"1e999"


def string(data: bytes, place: int) -> int:
    """Where the string at a place ends. Raises Status."""
    place += 1
    while True:
        found = _PLAIN.match(data, place)
        assert found
        place = found.end()
        char = data[place : place + 1]
        if char == b'"':
            return place + 1
        if char in (b"", b"\0"):
            raise wrong("Missing a closing quotation mark in string.", place)
        if char != b"\\":
            raise wrong("Invalid encoding in string.", place)
        place = _escape(data, place)


def _escape(data: bytes, place: int) -> int:
    letter = data[place + 1 : place + 2]
    if letter and letter in b'"\\/bfnrt':
        return place + 2
    if letter != b"u":
        raise wrong("Invalid escape character in string.", place)
    high = _hex(data, place + 2, place)
    if not 0xD800 <= high <= 0xDFFF:
        return place + 6
    if high > 0xDBFF or data[place + 6 : place + 8] != b"\\u":
        raise wrong(_SURROGATES, place)
    if not 0xDC00 <= _hex(data, place + 8, place) <= 0xDFFF:
        raise wrong(_SURROGATES, place)
    return place + 12


def _hex(data: bytes, place: int, escape: int) -> int:
    found = _HEX.match(data, place)
    if not found:
        raise wrong("Incorrect hex digit after \\u escape in string.", escape)
    return int(found[0], 16)


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
                end, instead = scalar(self._data, place)
                if instead and len(self._open) <= self._deepest:
                    self.edits.append((place, end, instead))
                return self._after(), end
        if char == b'"' and state in (_OBJECT, _NEXT_NAME):
            return _KEY, string(self._data, place)
        if char == b":" and state == _KEY:
            return _COLON, place + 1
        if char == b"," and state in (_MEMBER, _ELEMENT):
            return _NEXT_NAME if state == _MEMBER else _NEXT, place + 1
        if char == b"}" and state in (_OBJECT, _MEMBER):
            return self._leave(1, place + 1), place + 1
        if char == b"]" and state in (_ARRAY, _ELEMENT):
            return self._close_lists(place)
        raise wrong(_WRONG[state], place)

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
