from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from digits.augment.damage import rows_hit
from digits.augment.ops import augment
from digits.augment.random_numbers import key_of, uniform
from digits.augment.severe import NUMBERS, SEVERE, STREAM, damage_severely
from tests._digits import digits
from tests.train._recipes import BENT

WAYS = {way.__name__.strip("_"): way for way in SEVERE}
IMAGES = digits(100, seed=4)[0]
PIXELS = IMAGES / np.float32(255)
KEY = key_of(1, 3)


def hit(name: str, images: np.ndarray = PIXELS, **fixed: float) -> np.ndarray:
    """One damage of the images; `fixed`, n0 to n6, are numbers that are not drawn."""
    numbers = uniform([NUMBERS, len(images), 1, 1], KEY, STREAM).numpy()
    for place, value in fixed.items():
        numbers[int(place[1:])] = value
    damaged = WAYS[name](tf.constant(images, tf.float32), tf.constant(numbers), KEY)
    return tf.clip_by_value(damaged, 0, 1).numpy()


@pytest.mark.parametrize("name", WAYS)
def test_every_way_damages_each_image_in_its_own_way_and_leaves_the_digit_legible(name):
    after = hit(name)
    assert after.shape == PIXELS.shape and after.dtype == np.float32
    assert np.isfinite(after).all() and after.std() > 0.1
    assert np.abs(after - PIXELS).mean() > 0.01
    if name == "outline":  # filled
        after = ndimage.grey_erosion(ndimage.grey_dilation(after, (1, 5, 5)), (1, 5, 5))
    pairs = zip(after, PIXELS, strict=True)
    if name != "stripe":  # which inverts
        assert np.median([abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in pairs]) > 0.5
    alike = hit(name, np.repeat(PIXELS[:1], 30, axis=0))
    assert len(np.unique(alike.round(3), axis=0)) == 30


@pytest.mark.parametrize("xla", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "XLA"])
def test_the_key_settles_everything_compiled_or_not(xla):
    compiled = tf.function(lambda step: damage_severely(PIXELS, key_of(1, step), 0.9, 0.0), jit_compile=xla)
    first = compiled(tf.constant(5)).numpy()
    other = compiled(tf.constant(6)).numpy()
    assert np.array_equal(first, compiled(tf.constant(5)))
    assert not np.array_equal(first, other)
    assert first.mean() == pytest.approx(other.mean(), abs=0.05)


def test_it_hits_its_share_and_spares_the_rest_of_the_batch():
    alone = augment(IMAGES, 1, 0, replace(BENT, damaged=0.27)).numpy()
    out = augment(IMAGES, 1, 0, replace(BENT, severe=0.36, damaged=0.27)).numpy()
    same = np.isclose(out, alone, atol=1e-6).all(axis=(1, 2))
    assert rows_hit(100, 0.27, 9) == 27 and rows_hit(100, 0.36, 9) == 36
    assert same[:37].all() and same[73:].all()
    assert same[37:73].mean() < 0.1


def test_motion_keeps_the_ink_and_spreads_it_along_its_angle():
    dot = np.zeros((20, 28, 28), np.float32)
    dot[:, 14, 14] = 1
    level = hit("motion", dot, n0=0.0)
    assert level[:, 14].sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert not np.delete(level, 14, axis=1).any()
    upright = hit("motion", dot, n0=0.25, n1=1.0)
    assert (np.count_nonzero(upright[:, :, 14], axis=1) >= 14).all()


def test_a_zigzag_turns_and_a_dotted_line_has_gaps():
    black = np.zeros((50, 28, 28), np.float32)
    course = hit("zigzag", black, n0=0.0, n1=0.5, n2=0.6)  # level, in the middle, 2.8 px to each side
    rows = np.arange(28)[:, None]
    middle = (course * rows).sum(axis=1) / course.sum(axis=1)
    assert np.ptp(middle, axis=1).min() > 3
    dotted = hit("dotted", black, n0=0.0, n1=0.5, n6=1.0).max(axis=1)
    assert (dotted.min(axis=1) < 0.2).mean() > 0.9 and dotted.max(axis=1).min() > 0.4


def test_a_stripe_inverts_one_part_and_leaves_the_other():
    whole = hit("stripe", n3=0.5, n5=1.0)  # upright or level, wholly inverted
    kept, inverted = (np.abs(whole - x) < 0.01 for x in (PIXELS, 1 - PIXELS))
    assert (kept | inverted).mean() > 0.9
    assert kept.any(axis=(1, 2)).all() and inverted.any(axis=(1, 2)).all()


def test_fog_lowers_the_contrast_and_is_smooth():
    black = np.zeros((100, 28, 28), np.float32)
    veil = hit("fog", black)
    assert np.abs(np.diff(veil, axis=2)).mean() < 0.05 < veil.std()
    dot = black.copy()
    dot[:, 14, 14] = 1
    left = (hit("fog", dot) - veil)[:, 14, 14]
    assert left.min() > 0.14 and left.max() < 0.71 and np.ptp(left) > 0.4


def test_an_outline_is_bright_at_the_edge_and_dark_inside():
    block = np.zeros((50, 28, 28), np.float32)
    block[:, 6:22, 6:22] = 1
    after = hit("outline", block, n4=0.0)
    assert after[:, 11:17, 11:17].max() < 0.05
    assert after[:, 10:18, 4:8].max(axis=2).min() > 0.3
    assert hit("outline", block, n4=1.0)[:, 11:17, 11:17] == pytest.approx(0.3, abs=0.05)
