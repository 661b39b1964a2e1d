"""The two families of drawings share nothing, and hold nothing that can be read as a digit."""

import string

import numpy as np
import pytest

from digits import non_digits


def test_a_letter_is_seen_or_unseen_or_left_out_and_none_is_two_of_these() -> None:
    left_out = "".join(non_digits.LEFT_OUT.values())
    told = non_digits.LETTERS[True] + non_digits.LETTERS[False] + left_out
    assert sorted(told) == sorted(string.ascii_letters)
    assert set("OoIilSsZzBbqg") <= set(left_out)
    upper = [{letter.upper() for letter in non_digits.LETTERS[seen]} for seen in (True, False)]
    assert not upper[0] & upper[1]  # C and c are the same drawing


def test_fonts_and_figures_are_of_one_family_each() -> None:
    assert not set(non_digits.FONTS[True]) & set(non_digits.FONTS[False])
    assert not set(non_digits.FIGURES[True]) & set(non_digits.FIGURES[False])


@pytest.mark.parametrize("seen", [True, False])
def test_every_font_draws_every_letter_with_ink(seen: bool) -> None:
    for name in non_digits.FONTS[seen]:
        drawn = {
            letter: non_digits._font(name).getmask(letter).getbbox() for letter in non_digits.LETTERS[seen]
        }
        assert all(box is not None and box[3] > 15 for box in drawn.values()), name


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize(
    "draw", [non_digits.letter, non_digits.scribble, non_digits.figure, non_digits.noise]
)
def test_drawings_are_grey_levels_with_ink(draw, seen: bool) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        picture = draw(rng, seen=seen)
        assert picture.dtype == np.float32 and picture.ndim == 2
        assert picture.min() >= 0 and 100 < picture.max() <= 255


@pytest.mark.parametrize("seen", [True, False])
def test_drawings_keep_off_the_edge(seen: bool) -> None:
    rng = np.random.default_rng(3)
    for draw in (non_digits.letter, non_digits.figure):
        for _ in range(20):
            ring = draw(rng, seen=seen).copy()
            ring[1:-1, 1:-1] = 0
            assert ring.max() < 60


@pytest.mark.parametrize("seen", [True, False])
def test_empty_pictures_hold_next_to_nothing(seen: bool) -> None:
    rng = np.random.default_rng(3)
    pages = [non_digits.empty(rng, seen=seen) for _ in range(30)]
    assert all(page.shape == (28, 28) and 0 <= page.min() <= page.max() <= 255 for page in pages)
    jumps = [np.mean(np.abs(np.diff(page)) > 30) for page in pages]
    assert max(jumps) < 0.05
