"""Pictures without a digit: in MNIST's manner, repeatable, and never the ones that may be trained on."""

import string

import numpy as np
import pytest

from digits import non_digits
from digits.dataset import Split
from digits.non_digits import HALVES, KINDS, SEEN, UNSEEN, every, make
from digits.normalize import BOX, CENTRE
from tests._digits import digits

IMAGES, LABELS = digits(60, seed=4)
DIGITS = Split(IMAGES, LABELS, np.full(60, "tiny"))


@pytest.mark.parametrize("family", [SEEN, UNSEEN])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_as_mnists_own_were_made_and_a_seed_gives_them_again(kind, family):
    first, again, other = (make(kind, 20, seed, DIGITS, family) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (20, 28, 28) and first.dtype == np.uint8
    assert len(np.unique(first, axis=0)) > 3
    if kind == "empty":  # paper and its shade: no stroke
        assert np.mean(np.abs(np.diff(first.astype(int))) > 30) < 0.05
        return
    for picture in first:
        rows, columns = np.nonzero(picture > 0)
        assert picture.max() > 100
        if kind != "noise":
            assert max(np.ptp(rows), np.ptp(columns)) <= BOX
            mass = picture / picture.sum()
            assert abs((mass.sum(axis=1) @ np.arange(28)) - CENTRE) <= 4.5


def test_kinds_draw_from_streams_of_their_own_and_families_share_no_picture():
    pictures = every(5, 3, DIGITS)
    assert tuple(pictures) == KINDS
    assert np.array_equal(make("figures", 5, 3), pictures["figures"])
    for kind in ("noise", "letters", "scribbles", "figures"):
        seen, unseen = (make(kind, 40, 1, DIGITS, family).reshape(40, -1) for family in (SEEN, UNSEEN))
        assert not (seen[:, None] == unseen[None]).all(axis=2).any()


@pytest.mark.parametrize("kind", ["two_digits", "half_digits"])
def test_kinds_made_of_digits_pass_over_those_without_ink_and_need_some_with(kind):
    images = IMAGES.copy()
    images[::2] = 0
    images[1::2, 0, 0] = 9
    assert len(make(kind, 30, 1, Split(images, LABELS, DIGITS.batches))) == 30
    for some in (None, DIGITS.take(np.arange(0)), Split(IMAGES // 8, LABELS, DIGITS.batches)):
        with pytest.raises(ValueError, match="made of digits"):
            make(kind, 1, 1, some)


def test_halves_are_of_digits_that_are_none_when_cut():
    assert not {digit for digit, _ in HALVES} & {1, 7, 8, 9}
    with pytest.raises(ValueError, match="half_digits"):
        make("half_digits", 1, 1, DIGITS.take(np.isin(LABELS, [1, 7, 9])))


def test_what_may_be_trained_on_is_never_scored_and_no_letter_can_be_read_as_a_digit():
    left_out = "".join(non_digits.LEFT_OUT.values())
    told = non_digits.LETTERS[True] + non_digits.LETTERS[False] + left_out
    assert sorted(told) == sorted(string.ascii_letters)
    assert set("OoIilSsZzBbqg") <= set(left_out)
    upper = [{letter.upper() for letter in non_digits.LETTERS[seen]} for seen in (True, False)]
    assert not upper[0] & upper[1]  # C and c are the same drawing
    for drawn in (non_digits.FONTS, non_digits.FIGURES):
        assert not set(drawn[True]) & set(drawn[False])
