"""MNIST-C's corruptions: repeatable, each image for itself, and the pixels that published figures had."""

import numpy as np
import pytest

from bench.mnist_c import CORRUPTIONS, canny, corrupt
from tests._digits import digits, stripes, summary

IMAGES = digits(64, seed=3)[0]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # draw nothing
TABLE = {  # of corrupted stripes, once each was what its published definition says
    "shot_noise": (0.3337, 195.75), "impulse_noise": (0.3551, -21.37), "glass_blur": (0.2589, -3.21),
    "motion_blur": (0.2602, 26.51), "shear": (0.2520, 7.70), "scale": (0.1397, -49.67),
    "rotate": (0.2400, 15.95), "brightness": (0.7839, 20.00), "translate": (0.2604, 44.34),
    "stripe": (0.3341, 36.54), "fog": (0.2551, 13.05), "spatter": (0.2944, 26.11),
    "dotted_line": (0.3488, 70.98), "zigzag": (0.3699, 73.77), "canny_edges": (0.3253, -73.01),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_name_image_and_seed_settle_every_pixel(name):
    before = IMAGES.copy()
    first = corrupt(name, IMAGES, seed=5)
    assert first.dtype == np.uint8 and np.array_equal(IMAGES, before)
    assert (first != IMAGES).any(axis=(1, 2)).mean() > 0.8
    assert np.array_equal(first, corrupt(name, IMAGES, seed=5))
    assert np.array_equal(first, corrupt(name, IMAGES, seed=6)) == (name in FIXED)
    others = IMAGES[::-1].copy()
    others[10] = IMAGES[10]
    assert np.array_equal(corrupt(name, others, seed=5)[10], first[10]), "whatever the others are"
    same = corrupt(name, np.repeat(IMAGES[:1], 40, axis=0), seed=1)
    assert (len(np.unique(same, axis=0)) > 1) == (name not in FIXED), "each image draws for itself"
    square, weighted = summary(corrupt(name, stripes(), seed=1) / 255)
    assert square == pytest.approx(TABLE[name][0], abs=1e-4)
    assert weighted == pytest.approx(TABLE[name][1], abs=0.05)


def test_a_square_has_an_outline_a_pixel_wide_and_nothing_inside():
    blurred = np.zeros((1, 28, 28), np.float32)
    blurred[:, 7:21, 7:21], blurred[:, 8:20, 8:20] = 0.5, 1
    edges = canny(blurred)[0]
    assert 4 * 10 <= edges.sum() <= 4 * 14
    assert not edges[10:18, 10:18].any() and not edges[:6].any() and not edges[:, 22:].any()
    assert (edges[11:17].sum(axis=1) == 2).all()
