"""MNIST-C's corruptions against their published definitions, each on pictures that show its one effect."""

import numpy as np
import pytest
from scipy import ndimage

from bench.mnist_c import CORRUPTIONS, canny, corrupt
from tests._digits import digits

IMAGES = digits(64, seed=3)[0]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # draw nothing


def flat(value: int, n: int = 400) -> np.ndarray:
    return np.full((n, 28, 28), value, dtype=np.uint8)


def square(n: int, rows: slice, columns: slice) -> np.ndarray:
    images = flat(0, n)
    images[:, rows, columns] = 255
    return images


def shares(name: str, images: np.ndarray = IMAGES) -> np.ndarray:
    return corrupt(name, images, seed=1) / 255


def centres(name: str, images: np.ndarray) -> np.ndarray:
    """Rows and columns of each image's centre of ink, from the middle of the picture."""
    return np.array([ndimage.center_of_mass(image) for image in shares(name, images)]).T - 13.5


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


def test_shot_noise_has_the_mean_and_the_spread_of_its_photons():
    third = shares("shot_noise", flat(85)) * 3  # a mean of one; 1.9 % are above three and count as three
    assert sorted(np.unique(third.round(2)).tolist()) == [0, 1, 2, 3]
    assert [(third.round() == k).mean() for k in (0, 1, 2)] == pytest.approx([0.368, 0.368, 0.184], abs=0.005)


def test_impulse_noise_hits_seventeen_in_a_hundred_half_white_half_black():
    grey = corrupt("impulse_noise", flat(128), seed=1)
    assert [(grey == v).mean() for v in (0, 255)] == pytest.approx([0.085, 0.085], abs=0.003)


def test_motion_blur_smears_to_the_left_within_45_degrees_and_keeps_the_ink():
    after = shares("motion_blur", square(400, slice(14, 15), slice(20, 21)))
    rows, columns = np.indices((28, 28))
    assert after.sum(axis=(1, 2)) == pytest.approx(1, abs=0.05)
    down = (after * (rows - 14)).sum(axis=(1, 2))
    left = (after * (20 - columns)).sum(axis=(1, 2))
    assert (np.abs(down) <= 1.05 * left + 0.05).all()
    assert np.hypot(down, left) == pytest.approx(3 * np.sqrt(2 / np.pi), abs=0.5)  # half a Gaussian's mean


def test_shear_leans_by_the_sine_and_rotation_turns_by_four_tenths_of_a_radian_both_ways():
    row, column = centres("shear", square(60, slice(3, 5), slice(13, 15)))
    assert row == pytest.approx(-10 / np.cos(0.4), abs=0.15)
    assert np.abs(column) == pytest.approx(10 * np.tan(0.4), abs=0.15)
    angles = np.arctan2(*centres("rotate", square(60, slice(13, 15), slice(22, 24))))
    assert np.abs(angles) == pytest.approx(0.4, abs=0.02)
    assert {*np.sign(angles)} == {*np.sign(column)} == {-1.0, 1.0}


def test_scale_shrinks_to_seven_tenths_and_translate_moves_by_three_pixels():
    middle = square(60, slice(8, 20), slice(8, 20))
    assert shares("scale", middle).sum(axis=(1, 2)) == pytest.approx(144 * 0.7**2, rel=0.07)
    moved = {tuple(centre) for centre in centres("translate", middle).T.round(3)}
    assert moved == {(-3.0, -3.0), (-3.0, 3.0), (3.0, -3.0), (3.0, 3.0)}


def test_brightness_adds_a_half_and_a_stripe_inverts_a_quarter_on_each_side():
    x = IMAGES / 255
    assert shares("brightness") == pytest.approx(np.minimum(x + 0.5, 1), abs=0.003)
    expected = x.copy()
    expected[:, :, :7], expected[:, :, 21:] = 1 - x[:, :, :7], 1 - x[:, :, 21:]
    assert shares("stripe") == pytest.approx(expected, abs=0.003)


def test_fog_leaves_a_quarter_of_the_contrast_under_a_smooth_veil():
    clear = flat(0, 200)
    clear[:, 14, ::2] = 255
    after = shares("fog", clear)
    teeth = after[:, 14, 2:26:2] - (after[:, 14, 1:25:2] + after[:, 14, 3:27:2]) / 2
    assert teeth.mean() == pytest.approx(0.25, abs=0.02)
    steps = np.abs(np.diff(after[:, :13], axis=2)).mean(axis=(0, 1))
    assert steps.mean() < 0.03 and after[:, :13].std() > 0.1
    assert steps == pytest.approx(steps.mean(), rel=0.5), "no seam at the window's margins"


def test_spatter_covers_ink_and_ground_with_dark_grey():
    after = corrupt("spatter", flat(255), seed=1)
    assert after.min() == 63 and 0.1 < (after < 255).mean() < 0.3
    assert corrupt("spatter", flat(0), seed=1).max() == 63


def test_a_dotted_line_has_two_columns_and_leaves_two_and_a_zigzag_begins_at_column_two():
    ink = shares("dotted_line", flat(0)).max(axis=1) > 0
    assert not ink[:, np.arange(28) // 2 % 2 == 0].any()
    assert ink[:, [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26]].mean() > 0.99
    after = shares("zigzag", flat(0))
    assert not after[:, :, :2].any() and not after[:, :, 26:].any() and after.max() == 1


def test_a_square_has_an_outline_a_pixel_wide_and_nothing_inside():
    blurred = np.zeros((1, 28, 28), np.float32)
    blurred[:, 7:21, 7:21], blurred[:, 8:20, 8:20] = 0.5, 1
    edges = canny(blurred)[0]
    assert 4 * 10 <= edges.sum() <= 4 * 14
    assert not edges[10:18, 10:18].any() and not edges[:6].any() and not edges[:, 22:].any()
    assert (edges[11:17].sum(axis=1) == 2).all()
