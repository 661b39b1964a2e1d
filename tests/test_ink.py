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
    blank = np.arange(0, 256, 51, np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    images = np.concatenate([IMAGES, 255 - IMAGES, *thin, *drawn, blank])
    expected = [by_numpy(image) for image in images]
    asked = tf.function(has_ink, autograph=False) if compiled else has_ink
    assert asked(images).numpy().tolist() == expected
    assert 50 < sum(expected) < len(images) - 50


@pytest.mark.parametrize(("contrast", "enough"), [(9, False), (10, True)])
def test_a_digit_needs_contrast_as_a_picture_does(contrast, enough):
    faint = np.where(IMAGES > 127, 100 + contrast, 100)
    assert (has_ink(faint.astype(np.uint8)).numpy() == enough).all()


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "thin"])
def test_damage_leaves_a_digit_its_ink(name):
    assert has_ink(corrupt(name, IMAGES, 1)).numpy().all()
