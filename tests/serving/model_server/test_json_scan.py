"""Upstream's reading of JSON: what it takes, and what is wrong where, to the letter."""

import json
import math
import random

import pytest

from serving.model_server.rest.json import reader, text
from serving.model_server.rest.json.reader import DEEP
from serving.model_server.rest.json.text import shown
from serving.model_server.status import Status


def read(data, deepest=64):
    return reader.read(data, deepest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": [NaN, -NaN, Inf, -Inf, Infinity, -Infinity]}', "[nan, nan, inf, -inf, inf, -inf]"),
        (
            b'{"a": [18446744073709551615, 18446744073709551616]}',
            "[18446744073709551615, 1.8446744073709552e+19]",
        ),
        (
            b'{"a": [-9223372036854775808, -9223372036854775809]}',
            "[-9223372036854775808, -9.223372036854776e+18]",
        ),
        (
            b'{"a": [0, -0, 0.5e-3, 1E+2, 1.25, 123456789012345678901]}',
            "[0, 0, 0.0005, 100.0, 1.25, 1.2345678901234568e+20]",
        ),
        (b' \t\r\n{ "a" : [ true , false , null , { } , [ ] ] } ', "[True, False, None, {}, []]"),
        (b'{"a": "\\u00e9\\ud83d\\ude00\\n\\/"}', "'é😀\\n/'"),
        (b'{"a": 1}}', "1"),
        (b'{"a": 1}{"a": 2}', "1"),
        (b'\xef\xbb\xbf{"a": 1}', "1"),
    ],
)
def test_liberties(text, expected):
    assert repr(read(text)["a"]) == expected


def test_bytes_that_are_no_utf8_are_kept():
    assert read(b'{"a": "\xff\xc3\xa9"}')["a"].encode("utf-8", "surrogateescape") == b"\xff\xc3\xa9"


@pytest.mark.parametrize(
    ("text", "said", "offset"),
    [
        (b" \n", "The document is empty.", 2),
        (b"]", "The document is empty.", 0),
        (b"\0", "The document is empty.", 0),
        (b"hello", "Invalid value.", 0),
        (b'{"a": }', "Invalid value.", 6),
        (b"[", "Invalid value.", 1),
        (b"[1,]", "Invalid value.", 3),
        (b"[1,,2]", "Invalid value.", 3),
        (b"[nul]", "Invalid value.", 4),
        (b"[tRue]", "Invalid value.", 2),
        (b"[-]", "Invalid value.", 2),
        (b"[+1]", "Invalid value.", 1),
        (b"[.5]", "Invalid value.", 1),
        (b"[Nan]", "Invalid value.", 3),
        (b"[Infinite]", "Invalid value.", 8),
        (b"{", "Missing a name for object member.", 1),
        (b"{1}", "Missing a name for object member.", 1),
        (b'{"a":1,}', "Missing a name for object member.", 7),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a"', "Missing a colon after a name of object member.", 4),
        (b'{"a":1 "b":2}', "Missing a comma or '}' after an object member.", 7),
        (b'{"a":1]', "Missing a comma or '}' after an object member.", 6),
        (b"[1 2]", "Missing a comma or ']' after an array element.", 3),
        (b"[1}", "Missing a comma or ']' after an array element.", 2),
        (b"[01]", "Missing a comma or ']' after an array element.", 2),
        (b"[[1], [2]", "Missing a comma or ']' after an array element.", 9),
        (b'["\\u12g4"]', "Incorrect hex digit after \\u escape in string.", 2),
        (b'["\\ud83d"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ud83d\\u0041"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ude00"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\a"]', "Invalid escape character in string.", 2),
        (b'["a', "Missing a closing quotation mark in string.", 3),
        (b'["a\0"]', "Missing a closing quotation mark in string.", 3),
        (b'["a\nb"]', "Invalid encoding in string.", 3),
        (b"[1e400]", "Number too big to be stored in double.", 1),
        (b"[5, -" + b"9" * 400 + b"]", "Number too big to be stored in double.", 4),
        (b"[1.]", "Miss fraction part in number.", 3),
        (b"[1.e5]", "Miss fraction part in number.", 3),
        (b"[1e]", "Miss exponent in number.", 3),
        (b"[1e+]", "Miss exponent in number.", 4),
    ],
)
def test_what_is_wrong_and_where(text, said, offset):
    for around in (text, b'{"x": [[1, 2], {"y": [3]}], "z": ' + text):
        shift = len(around) - len(text)
        if shift and said == "The document is empty.":
            continue
        with pytest.raises(Status) as caught:
            read(around)
        assert caught.value.message == f"JSON Parse error: {said} at offset: {offset + shift}"


def test_the_offset_counts_bytes_not_letters():
    with pytest.raises(Status, match="offset: 12"):
        read('{"größe": x'.encode())


@pytest.mark.parametrize("opening", [b"[", b'{"x":', b'[{"x": ', b"[[1],"])
def test_nesting_costs_no_stack_and_what_is_too_deep_is_not_kept(opening):
    closing = bytes({91: 93, 123: 125}[each] for each in reversed(opening) if each in b"[{").replace(
        b"]]", b"]"
    )
    closing = b"]" if opening == b"[[1]," else closing
    found = read(b'{"n": ' + opening * 50_000 + b"1" + closing * 50_000 + b', "a": [Inf, 1]}', 4)
    assert found["a"] == [math.inf, 1]
    depth, place = 0, found["n"]
    while place is not DEEP:
        place = place[-1] if isinstance(place, list) else place["x"]
        depth += 1
    assert depth == 4 + reader.ROOM - 1


def test_it_reads_what_a_strict_reader_reads():
    dice = random.Random(5)

    def some(level):
        kind = dice.randrange(8 if level else 6)
        if kind == 6:
            return [some(level - 1) for _ in range(dice.randrange(5))]
        if kind == 7:
            return {
                dice.choice(["a", "b\n", "é", '"', "\\u"]): some(level - 1) for _ in range(dice.randrange(4))
            }
        number = dice.uniform(-1e3, 1e3) * 10.0 ** dice.randrange(-200, 200)
        return [None, True, dice.randrange(-(2**63), 2**64), number, 'x"\\é😀\t', False][kind]

    for _ in range(300):
        value = {"a": some(6), "b": some(3)}
        for options in ({}, {"indent": 2}, {"ensure_ascii": False, "separators": (",", ":")}):
            assert read(json.dumps(value, **options).encode()) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"a": [1, [2.5, {"b": None}]], "c": {}},
            '{\n    "a": [1, [2.5, {\n                "b": null\n            }]],\n    "c": {}\n}',
        ),
        (
            [0.1, 1.0, 1e20, 1e21, 1e22, 1.5e300, -2e-6, 1e-7, 123456.75, 1.25e-8, -0.0, 2.5e17],
            "[0.1, 1.0, 100000000000000000000.0, 1e21, 1e22, 1.5e300, -0.000002, 1e-7, 123456.75, "
            "1.25e-8, -0.0, 250000000000000000.0]",
        ),
        ([math.nan, 1], "["),
        ("é\n", '"é\\n"'),
        ([], "[]"),
    ],
)
def test_values_are_shown_as_upstream_writes_them(value, expected):
    assert shown(value) == expected


def test_what_is_shown_is_cut():
    assert shown(list(range(1000))).endswith("64, 65, 66")
    assert len(shown("x" * 10**6)) == 1024
    assert shown([[[DEEP]]]) == "[[[["


def test_the_fast_reader_and_the_careful_one_agree_on_empty_bodies():
    for data, said in ((b"", "The document is empty"), (b" ", "The document is empty. at offset: 1")):
        with pytest.raises(Status) as caught:
            text.parse(data, 64)
        assert caught.value.message == f"JSON Parse error: {said}"
