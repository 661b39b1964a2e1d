"""A picture of a line becomes 32 pixels high and a text characters, or they are refused."""

import numpy as np
import pytest

from digits.ingest.lines import characters, line_of
from digits.line_model.lines import SEPARATOR
from digits.runtime.errors import DataError
from tests._lines import written

DOT = SEPARATOR


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", []),
        ("07", [0, 7]),
        ("1.250,50", [1, DOT, 2, 5, 0, DOT, 5, 0]),
        ("12 34.5", [1, 2, 3, 4, DOT, 5]),
        ("12, 5.", [1, 2, DOT, 5]),
        ("1" * 24, [1] * 24),
    ],
)
def test_a_text_is_digits_and_what_separates_them(text, says):
    assert characters(text) == says


@pytest.mark.parametrize("text", ["1a", "12-", "...", "\u0663", "1\n2", "1" * 25])
def test_a_text_of_other_characters_or_too_many_is_refused(text):
    said = r"^expected digits with a dot|^it has 25 characters, expected at most 24"
    with pytest.raises(DataError, match=said):
        characters(text)


@pytest.mark.parametrize(
    ("shape", "width"), [((28, 66), 76), ((32, 64), 64), ((320, 1001), 100), ((9, 90), 320), ((600, 9), 4)]
)
def test_a_line_is_32_high_and_as_wide_as_it_was_to_the_next_column(shape, width):
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    line = line_of(picture, [])
    assert line.shape == (32, width) and line.dtype == np.uint8


def test_polarity_and_levels_stay():
    picture = np.repeat(np.repeat(written(4, 1), 4, axis=0), 4, axis=1)
    dark, light = line_of(picture, [1]), line_of(255 - picture, [1])
    assert dark.mean() > 128 > light.mean() and np.abs(255.0 - light - dark).max() <= 1
    assert line_of(picture.astype(np.uint16) * 257, [1]).tolist() == dark.tolist()


@pytest.mark.parametrize(
    ("shape", "text", "why"),
    [
        ((10, 641), [1], "641 pixels wide and 10 high, too wide for a line: expected at most 64 times"),
        ((1, 2_000_000), [], "too wide for a line"),
        ((32, 12), [1, 2, 3, 4], "12 pixels wide at 32 high, too narrow for 4 characters"),
        ((32, 12), [1, 1, 1], "too narrow for 3 characters"),
        ((2_000_000, 1), [1, 2], "too narrow"),
    ],
)
def test_a_line_too_wide_or_too_narrow_is_refused(shape, text, why):
    picture = np.zeros(shape, np.uint8)
    picture[:: shape[0] // 2 + 1] = 255
    with pytest.raises(DataError, match=why):
        line_of(picture, text)
