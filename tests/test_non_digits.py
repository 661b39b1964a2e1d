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
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
def test_they_are_as_mnists_own_were_made(kind, family):
    pictures = make(kind, 20, 1, DIGITS, family)
    assert pictures.shape == (20, 28, 28) and pictures.dtype == np.uint8
    for picture in pictures:
        rows, columns = np.nonzero(picture > 0)
        assert max(np.ptp(rows), np.ptp(columns)) < 28 and picture.max() > 100
        if kind not in ("noise",):
            assert max(np.ptp(rows), np.ptp(columns)) + 1 <= BOX + 1
            mass = picture / picture.sum()
            assert abs((mass.sum(axis=1) @ np.arange(28)) - CENTRE) <= 4.5


@pytest.mark.parametrize("family", [SEEN, UNSEEN])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_pictures_and_others_other_ones(kind, family):
    first, again, other = (make(kind, 12, seed, DIGITS, family) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) > 3


def test_more_pictures_begin_with_the_same_ones():
    assert np.array_equal(make("letters", 5, 1), make("letters", 9, 1)[:5])


def test_kinds_draw_from_streams_of_their_own_and_families_share_no_picture():
    alone, among = make("figures", 5, 3), every(5, 3, DIGITS)["figures"]
    assert np.array_equal(alone, among)
    for kind in ("noise", "letters", "scribbles", "figures"):
        seen, unseen = (make(kind, 40, 1, DIGITS, family).reshape(40, -1) for family in (SEEN, UNSEEN))
        assert not (seen[:, None] == unseen[None]).all(axis=2).any()


def test_every_kind_is_made_of_the_digits_given():
    pictures = every(4, 1, DIGITS)
    assert tuple(pictures) == KINDS and all(len(part) == 4 for part in pictures.values())
    assert make("two_digits", 0, 1, DIGITS).shape == (0, 28, 28)


def test_two_digits_are_wider_than_one():
    width = [np.ptp(np.nonzero(picture)[1]) - np.ptp(np.nonzero(picture)[0]) for picture in
             make("two_digits", 40, 1, DIGITS)]  # fmt: skip
    assert np.mean(np.array(width) > 0) > 0.8


def test_halves_are_of_digits_that_are_none_when_cut():
    ones = DIGITS.take(np.isin(LABELS, [1, 7, 9]))
    allowed = {digit for digit, _ in HALVES}
    assert not allowed & {1, 7, 8, 9}
    with pytest.raises(ValueError, match="half_digits"):
        make("half_digits", 1, 1, ones)


@pytest.mark.parametrize("kind", ["two_digits", "half_digits"])
def test_kinds_made_of_digits_say_that_they_need_some(kind):
    with pytest.raises(ValueError, match="made of digits"):
        make(kind, 1, 1)
    for images in (IMAGES[:0], IMAGES // 8):
        with pytest.raises(ValueError, match="made of digits, and none with ink"):
            make(kind, 1, 1, Split(images, LABELS[: len(images)], DIGITS.batches[: len(images)]))


@pytest.mark.parametrize("kind", ["two_digits", "half_digits"])
def test_blank_and_specked_digits_do_no_harm(kind):
    images = IMAGES.copy()
    images[::2] = 0
    images[1::2, 0, 0] = 9
    assert len(make(kind, 30, 1, Split(images, LABELS, DIGITS.batches))) == 30


@pytest.mark.parametrize(("kind", "family"), [("ghosts", SEEN), ("letters", "known")])
def test_unknown_kinds_and_families_are_refused_with_the_known_ones(kind, family):
    with pytest.raises(ValueError, match="letters"):
        make(kind, 1, 1, DIGITS, family)


def test_a_letter_is_seen_or_unseen_or_left_out_and_none_is_two_of_these():
    left_out = "".join(non_digits.LEFT_OUT.values())
    told = non_digits.LETTERS[True] + non_digits.LETTERS[False] + left_out
    assert sorted(told) == sorted(string.ascii_letters)
    assert set("OoIilSsZzBbqg") <= set(left_out)
    upper = [{letter.upper() for letter in non_digits.LETTERS[seen]} for seen in (True, False)]
    assert not upper[0] & upper[1]  # C and c are the same drawing


def test_fonts_and_figures_are_of_one_family_each():
    assert not set(non_digits.FONTS[True]) & set(non_digits.FONTS[False])
    assert not set(non_digits.FIGURES[True]) & set(non_digits.FIGURES[False])


@pytest.mark.parametrize("seen", [True, False])
def test_every_font_draws_every_letter_with_ink(seen):
    for name in non_digits.FONTS[seen]:
        drawn = {
            letter: non_digits._font(name).getmask(letter).getbbox() for letter in non_digits.LETTERS[seen]
        }
        assert all(box is not None and box[3] > 15 for box in drawn.values()), name


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize(
    "draw", [non_digits.letter, non_digits.scribble, non_digits.figure, non_digits.noise]
)
def test_drawings_are_grey_levels_with_ink(draw, seen):
    rng = np.random.default_rng(3)
    for _ in range(20):
        picture = draw(rng, seen=seen)
        assert picture.dtype == np.float32 and picture.ndim == 2
        assert picture.min() >= 0 and 100 < picture.max() <= 255


@pytest.mark.parametrize("seen", [True, False])
def test_empty_pictures_hold_next_to_nothing(seen):
    rng = np.random.default_rng(3)
    pages = [non_digits.empty(rng, seen=seen) for _ in range(30)]
    assert all(page.shape == (28, 28) and 0 <= page.min() <= page.max() <= 255 for page in pages)
    jumps = [np.mean(np.abs(np.diff(page)) > 30) for page in pages]
    assert max(jumps) < 0.05
