"""Formats, and the likeliest text of each in a line's columns."""

import itertools
import re

import numpy as np
import pytest

from digits_client import BadRequest
from digits_client.reading.constraints import BLANK, SEPARATOR, format_of, places


def columns(count, seed):
    shares = np.exp(np.random.default_rng(seed).normal(0, 2, (count, 12)))
    return shares / shares.sum(axis=1, keepdims=True)


def probability(shares, symbols):
    """Of a text in columns, over all its alignments."""
    labels = [BLANK, *(each for symbol in symbols for each in (symbol, BLANK))]
    now = [shares[0][label] if i < 2 else 0.0 for i, label in enumerate(labels)]
    for column in shares[1:]:
        before, now = now, []
        for i, label in enumerate(labels):
            ways = before[i] + (before[i - 1] if i else 0)
            if i > 1 and label != BLANK and label != labels[i - 2]:
                ways += before[i - 2]
            now.append(ways * column[label])
    return sum(now[-2:])


def likeliest(shares, pattern):
    """By trying all texts: (probability, text)."""
    best = (0.0, "")
    for count in range(1, 5):
        for symbols in itertools.product(range(11), repeat=count):
            text = "".join("." if each == SEPARATOR else str(each) for each in symbols)
            if re.fullmatch(pattern, text):
                best = max(best, (probability(shares, symbols), text))
    return best


PLAIN = ["digits:2", "1?2*|3[45]", "(12|3)+", r"\d{1,3}", "[2-5]{2,}|7"]


@pytest.mark.parametrize("name", PLAIN)
def test_the_best_is_the_likeliest_of_all_texts_of_the_format(name):
    pattern = r"\d{2}" if name == "digits:2" else name
    for seed in range(4):
        shares = columns(5, seed)
        shares[:, BLANK] += shares[:, SEPARATOR]
        shares[:, SEPARATOR] = 0
        p, text = likeliest(shares, pattern)
        match = format_of(name).best(shares)
        assert match is not None
        assert probability(shares, match.symbols) == pytest.approx(p, rel=0.02) and match.text == text
        assert match.confidence <= p * (1 + 1e-9)


def sharp(text, p=0.98):
    """Columns that say a text: a symbol, nothing, a symbol …"""
    made = np.full((2 * len(text) + 1, 12), (1 - p) / 11)
    made[:, BLANK] = p
    for i, sign in enumerate(text):
        made[2 * i + 1, BLANK] = (1 - p) / 11
        made[2 * i + 1, 10 if sign == "." else int(sign)] = p
    return made


SAID = [
    *((text, "amount", text) for text in ("12.50", "280.000", "1.234.50", "1234")),
    *(("3.2", "score", "3:2"), (".12.50.", "amount", "12.50")),  # specks at the ends
    *(("12.345", "digits:5", "12345"), ("12.50", r"\d+,\d\d", "12,50")),  # a speck within
    *(("12.50", r"\d\d[-/]?\d{2}", "12-50"), ("71", "7(?:1|2)3?", "71"), ("1.1", ".{3}", "1.1")),
    *(("33", "3*", "33"), ("1234567", r"(\d{3}-?)+\d", "1234567"), ("", "(12)?", "")),
]


@pytest.mark.parametrize(("written", "name", "text"), SAID)
def test_what_is_written_is_found_with_the_signs_of_the_format(written, name, text):
    match = format_of(name).best(sharp(written))
    assert match is not None and match.text == text and match.confidence > 0.6


def test_a_doubtful_digit_becomes_what_the_format_allows_and_what_can_hardly_be_meant_has_no_confidence():
    shares = sharp("123")
    for name in ("digits:9", "4{3}"):
        match = format_of(name).best(shares)
        assert match is None or match.confidence < 1e-4
    shares[3, [2, 7]] = 0.6, 0.38
    match = format_of("1[5-9]3").best(shares)
    assert match is not None and match.text == "173" and match.confidence == pytest.approx(0.36, abs=0.05)


def test_each_symbol_has_the_column_where_it_is_surest():
    shares = sharp("1123")
    assert places(shares, [1, 1, 2, 3]) == [1, 3, 5, 7]
    shares = np.repeat(shares, 3, axis=0)
    shares[4, 1] = 0.999
    assert places(shares, [1, 1, 2, 3])[0] == 4


REFUSED = ["", "(", ")", "a", "[a]", "[]", r"\d{3", "x{2}", r"\d{99}", r"\d**", "(?=1)", "^1$", r"\w"]
REFUSED += ["digits:0", "digits:x", "digits:33", "{2}", "|" * 101, "((" * 30, r"((\d{32}){32}){32}", "[5-"]
REFUSED += ["1" * 101]
REFUSED += [r"(\d?){32}(\d?\.?){32}(1\d{0,32}|2\d{0,32}|3\d{0,32}){9}", "\x00", "٣"]


@pytest.mark.parametrize("name", REFUSED, ids=repr)
def test_other_patterns_are_refused_in_a_line(name):
    with pytest.raises(BadRequest) as caught:
        format_of(name)
    assert "\n" not in str(caught.value) and "the format" in str(caught.value)
