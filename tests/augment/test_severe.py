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
from tests.train._recipes import BENT, STILL

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


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.median([abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in zip(a, b, strict=True)]))


@pytest.mark.parametrize("name", WAYS)
def test_every_way_damages_stays_finite_and_leaves_the_digit_legible(name):
    after = hit(name)
    assert after.shape == PIXELS.shape and after.dtype == np.float32
    assert np.isfinite(after).all() and after.std() > 0.1
    assert np.abs(after - PIXELS).mean() > 0.01
    shown = ndimage.grey_erosion(ndimage.grey_dilation(after, (1, 5, 5)), (1, 5, 5))  # fills an outline
    if name != "stripe":  # which inverts
        assert likeness(shown if name == "outline" else after, PIXELS) > 0.5


@pytest.mark.parametrize("name", WAYS)
def test_equal_images_are_hit_each_in_its_own_way(name):
    after = hit(name, np.repeat(PIXELS[:1], 30, axis=0))
    assert len(np.unique(after.round(3), axis=0)) == 30


@pytest.mark.parametrize("xla", [False, True], ids=["plain", "XLA"])
def test_the_key_settles_everything_compiled_or_not(xla):
    compiled = tf.function(lambda step: damage_severely(PIXELS, key_of(1, step), 0.9, 0.0), jit_compile=xla)
    first = compiled(tf.constant(5)).numpy()
    assert first.shape == PIXELS.shape and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1 and np.isfinite(first).all()
    other = compiled(tf.constant(6)).numpy()
    assert np.array_equal(first, compiled(tf.constant(5)))
    assert not np.array_equal(first, other)
    assert first.mean() == pytest.approx(other.mean(), abs=0.05)


def test_it_hits_its_share_and_spares_what_the_other_group_hits():
    out = augment(IMAGES, 1, 0, replace(STILL, severe=0.36, damaged=0.27)).numpy()
    changed = np.abs(out - PIXELS).max(axis=(1, 2)) > 0.01
    assert rows_hit(100, 0.27, 9) == 27 and rows_hit(100, 0.36, 9) == 36
    assert not changed[:37].any()
    assert changed[37:73].mean() > 0.9
    alone = augment(IMAGES, 1, 0, replace(STILL, damaged=0.27)).numpy()
    assert np.array_equal(out[73:], alone[73:])


def test_the_rest_of_the_batch_does_not_know_of_it():
    without = augment(IMAGES, 1, 0, BENT).numpy()
    with_it = augment(IMAGES, 1, 0, replace(BENT, severe=0.3)).numpy()
    same = np.isclose(without, with_it, atol=1e-6).all(axis=(1, 2))
    assert same.sum() == 100 - rows_hit(100, 0.3, 9)


def test_none_asked_for_is_none_done():
    assert damage_severely(PIXELS, KEY, 0.0, 0.4) is PIXELS


def test_motion_keeps_the_ink_and_spreads_it_along_its_angle():
    dot = np.zeros((20, 28, 28), np.float32)
    dot[:, 14, 14] = 1
    level = hit("motion", dot, n0=0.0)
    assert level[:, 14].sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert not np.delete(level, 14, axis=1).any()
    upright = hit("motion", dot, n0=0.25, n1=1.0)
    assert (np.count_nonzero(upright[:, :, 14], axis=1) >= 14).all()


def test_glass_takes_pixels_from_near_by():
    half = np.zeros((50, 28, 28), np.float32)
    half[:, :, 14:] = 1
    after = hit("glass", half)
    assert after[:, 4:24, :10].max() < 0.05 and after[:, 4:24, 19:24].min() > 0.95
    assert 0.2 < after[:, 4:24, 13:15].mean() < 0.8


@pytest.mark.parametrize(
    ("name", "least", "most"), [("zigzag", 25, 170), ("dotted", 4, 60), ("lines", 25, 200)]
)
def test_lines_are_drawn_over_and_nothing_is_taken(name, least, most):
    assert (hit(name) >= PIXELS - 1e-6).all()
    ink = hit(name, np.zeros((200, 28, 28), np.float32)).sum(axis=(1, 2))
    assert least < np.median(ink) < most


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


def test_blobs_cover_the_digit_with_one_grey():
    white = np.ones((100, 28, 28), np.float32)
    after = hit("splash", white, n3=0.25)
    assert 0.03 < (after < 0.6).mean() < 0.5
    assert after.min() == pytest.approx(0.25, abs=0.02)
