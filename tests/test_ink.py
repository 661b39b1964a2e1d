"""Enough ink for a digit: blank pages and specks never, digits always, however dim, small or inverted."""

import numpy as np
import pytest
import tensorflow as tf

from digits import non_digits
from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from digits.ink import LEAST, has_ink
from tests._digits import digits

IMAGES, LABELS = digits(60, seed=5)


def by_numpy(image: np.ndarray) -> bool:
    """The rule again, pixel by pixel."""
    levels = image.astype(int)
    frame = np.zeros((28, 28), bool)
    frame[[0, -1]] = frame[:, [0, -1]] = True
    paper = np.sort(levels[frame])[frame.sum() // 2]
    apart = np.abs(levels - paper)
    inked = 10 * apart > 3 * apart.max()
    solid = 0
    for row, column in np.argwhere(inked):
        solid += inked[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum() >= 3
    return bool(np.ptp(levels) >= 10 and solid >= LEAST)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_graph_and_numpy_agree(compiled):
    kinds, families = ("empty", "noise"), ("seen", "unseen")
    drawn = [non_digits.make(kind, 80, 1, family=family) for kind in kinds for family in families]
    thin = [corrupt("thin", corrupt("scale_down", corrupt("thin", IMAGES, 1), 1), 1)]
    images = np.concatenate([IMAGES, 255 - IMAGES, *thin, *drawn])
    expected = [by_numpy(image) for image in images]
    asked = tf.function(has_ink, autograph=False) if compiled else has_ink
    assert asked(images).numpy().tolist() == expected
    assert 50 < sum(expected) < len(images) - 50


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_blank_page_has_none(level):
    assert not has_ink(np.full((1, 28, 28), level, np.uint8)).numpy().any()


@pytest.mark.parametrize(("contrast", "enough"), [(9, False), (10, True)])
def test_a_digit_needs_contrast_as_a_picture_does(contrast, enough):
    faint = np.where(IMAGES > 127, 100 + contrast, 100)
    assert (has_ink(faint.astype(np.uint8)).numpy() == enough).all()


def test_a_few_specks_are_no_ink_and_a_stroke_is():
    page = np.zeros((3, 28, 28), np.uint8)
    page[0, 3::8, 3::8] = 255  # nine single pixels
    page[1, [5, 5, 6, 6], [5, 6, 5, 6]] = page[1, 20, 20:22] = 200  # a speck of four, one of two
    page[2, 8:20, 14] = 200
    assert has_ink(page).numpy().tolist() == [False, False, True]


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "thin"])
def test_damage_leaves_a_digit_its_ink(name):
    assert has_ink(corrupt(name, IMAGES, 1)).numpy().all()


def test_no_image_has_no_answer():
    assert has_ink(IMAGES[:0]).shape == (0,)
