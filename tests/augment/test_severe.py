from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from digits.augment.damage import rows_hit
from digits.augment.ops import augment
from digits.augment.random_numbers import key_of, uniform
from digits.augment.severe import NUMBERS, SEVERE, STREAM, damage_severely
from tests._digits import digits, stripes, summary
from tests.train._recipes import BENT

WAYS = {way.__name__.strip("_"): way for way in SEVERE}
IMAGES = digits(100, seed=4)[0]
PIXELS = IMAGES / np.float32(255)
KEY = key_of(1, 3)


TABLE = {  # of damaged stripes: recorded results hold as long as equal seeds give equal pixels
    "motion": (0.2176, 18.28), "glass": (0.2649, -38.05), "zigzag": (0.3403, 61.97),
    "dotted": (0.3329, 48.61), "lines": (0.3609, 33.95), "stripe": (0.3048, -35.09),
    "fog": (0.2799, 30.96), "outline": (0.2513, -9.60), "splash": (0.3265, 59.63),
}  # fmt: skip


def hit(name: str, images: np.ndarray) -> np.ndarray:
    """One damage of the images."""
    numbers = uniform([NUMBERS, len(images), 1, 1], KEY, STREAM)
    return tf.clip_by_value(WAYS[name](tf.constant(images, tf.float32), numbers, KEY), 0, 1).numpy()


@pytest.mark.parametrize("name", WAYS)
def test_every_way_damages_each_image_in_its_own_way_and_leaves_the_digit_legible(name):
    after = hit(name, PIXELS)
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
    square, weighted = summary(hit(name, stripes() / 255))
    assert square == pytest.approx(TABLE[name][0], abs=1e-3)
    assert weighted == pytest.approx(TABLE[name][1], abs=0.1)


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
