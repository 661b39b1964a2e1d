"""Strings, words and numbers of a JSON text by the rules of TensorFlow Serving's reader (`json_scan`)."""

from __future__ import annotations

import re

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
