"""Upstream's reading of JSON: what it takes, and what is wrong where, to the letter."""

import json
import math
import random

import pytest

from digits_model_server.rest.json import scan, text
from digits_model_server.rest.json.text import shown
from digits_model_server.status import Status

read = text.parse


BIG, SMALL = 2**64, -(2**63) - 1  # beyond the integers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": [NaN, -NaN, Inf, -Inf, Infinity, -Infinity]}', "[nan, nan, inf, -inf, inf, -inf]"),
        (b'{"a": [%d, %d]}' % (BIG - 1, BIG), f"[{BIG - 1}, 1.8446744073709552e+19]"),
        (b'{"a": [%d, %d]}' % (SMALL + 1, SMALL), f"[{SMALL + 1}, -9.223372036854776e+18]"),
        (b'{"a": [0, -0, 0.5e-3, 1E+2, 1.25]}', "[0, 0, 0.0005, 100.0, 1.25]"),
        (b'{"a": 123456789012345678901}', "1.2345678901234568e+20"),
        (b' \t\r\n{ "a" : [ true , false , null , { } , [ ] ] } ', "[True, False, None, {}, []]"),
        (b'{"a": "\\u00e9\\ud83d\\ude00\\n\\/"}', "'é😀\\n/'"),
        (b'{"a": 1}{"a": 2}', "1"),
        (b'{"a": NaN, "a": 2}', "2"),
        (b'\xef\xbb\xbf{"a": 1, "a": 2}', "2"),
    ],
)
def test_liberties(text, expected):
    assert repr(read(text)["a"]) == expected


def test_numbers_are_exact_beside_nan_too():
    numbers = [random.Random(7).uniform(-1, 1) * 10.0**power for power in range(-300, 300)]
    assert read(f'{{"a": {numbers}, "b": NaN}}'.encode())["a"] == numbers


@pytest.mark.parametrize("text", [b'{"a": "\xe9"}', b'{"a": 1} \xe9', b'{"a\xe9": NaN}'])
def test_bytes_that_are_no_utf8_are_refused_with_their_place(text):
    with pytest.raises(Status) as caught:
        read(text)
    said = f"JSON Parse error: Not UTF-8. at offset: {text.index(0xE9)}; send such bytes as base64, "
    assert caught.value.message == said + '{"b64": "..."}'


@pytest.mark.parametrize(
    ("text", "said", "offset"),
    [
        (b" \n", "The document is empty.", 2),
        (b"\0", "The document is empty.", 0),
        (b"hello", "Invalid value.", 0),
        (b'{"a": }', "Invalid value.", 6),
        (b"[", "Invalid value.", 1),
        (b"[1,]", "Invalid value.", 3),
        (b"[tRue]", "Invalid value.", 2),
        (b"[-]", "Invalid value.", 2),
        (b"[+1]", "Invalid value.", 1),
        (b"[Infinite]", "Invalid value.", 8),
        (b"{", "Missing a name for object member.", 1),
        (b'{"a":1,}', "Missing a name for object member.", 7),
        (b'{"a" 1}', "Missing a colon after a name of object member.", 5),
        (b'{"a":1 "b":2}', "Missing a comma or '}' after an object member.", 7),
        (b"[1 2]", "Missing a comma or ']' after an array element.", 3),
        (b"[01]", "Missing a comma or ']' after an array element.", 2),
        (b"[[1], [2]", "Missing a comma or ']' after an array element.", 9),
        (b'["\\u12g4"]', "Incorrect hex digit after \\u escape in string.", 2),
        (b'["\\ud83d"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ud83d\\u0041"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\ude00"]', "The surrogate pair in string is invalid.", 2),
        (b'["\\a"]', "Invalid escape character in string.", 2),
        (b'["a', "Missing a closing quotation mark in string.", 3),
        (b'["a\nb"]', "Invalid encoding in string.", 3),
        (b"[1e400]", "Number too big to be stored in double.", 1),
        (b"[5, -" + b"9" * 400 + b"]", "Number too big to be stored in double.", 4),
        (b"[1.]", "Miss fraction part in number.", 3),
        (b"[1e]", "Miss exponent in number.", 3),
        ('{"größe": x'.encode(), "Invalid value.", 12),  # bytes, not letters
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


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x":', "}"), ('[0, {"x": ', "}]")])
def test_nesting_beyond_a_thousand_is_refused(opening, closing):
    def nested(depth):
        times, more = divmod(depth - 1, len(closing))  # one level is the object around them
        value = "[" * more + opening * times + "NaN" + closing * times + "]" * more
        return f'{{"n": {value}, "a": [Inf]}}'.encode()

    for depth in (999, 1000):
        assert read(nested(depth))["a"] == [math.inf]
    for depth in (1001, 100_000):
        with pytest.raises(Status, match="nested deeper than 1000"):
            read(nested(depth))


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"a": [[], [[]], {}], "b": "[c]"}', 10),  # with the bracket of the string
        (b'{"a\\"\\"\\"\\"": "\\"\\"", "b": ["c"], "d": 1234567890}', 7),
        (b'{"a": NaN, "b": [Inf, "c"], "d": 12345} [', 7),
    ],
)
def test_parts_are_counted_to_the_one(body, count):
    for most in (count, count + 1, 0):
        scan.check_parts(body, most)
    with pytest.raises(Status, match=f"more than {count - 1} lists, objects and strings.*--max_json_parts"):
        scan.check_parts(body, count - 1)


def test_it_reads_what_a_strict_reader_reads():
    dice = random.Random(5)

    def some(level):
        kind = dice.randrange(8 if level else 6)
        if kind == 6:
            return [some(level - 1) for _ in range(dice.randrange(5))]
        if kind == 7:
            names = dice.choices(["a", "b\n", "é", '"', "\\u"], k=dice.randrange(4))
            return {name: some(level - 1) for name in names}
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
    ],
)
def test_values_are_shown_as_upstream_writes_them(value, expected):
    assert shown(value) == expected
