import numpy as np
import pytest
from scipy import ndimage

from digits.evaluate.corruptions import CORRUPTIONS, corrupt, rotate, scale, shift
from tests._digits import digits

IMAGES, _ = digits(64, seed=3)
FLOATS = IMAGES / np.float32(255)

# The mean square and a weighted sum of corrupted stripes: the table stays as it is, so that figures compare.
# No hash: other processors round the last bit otherwise.
TABLE = {
    "shift": (0.2396, -66.42),
    "rotation_20": (0.2432, -46.53),
    "rotation_30": (0.2344, -31.60),
    "scale_down": (0.1397, -49.67),
    "scale_up": (0.2811, -1.51),
    "shear": (0.2683, -51.04),
    "gaussian_noise": (0.3575, 73.88),
    "impulse_noise": (0.3437, 83.21),
    "blur": (0.2461, 0.38),
    "dim": (0.0294, 16.60),
    "bright": (0.7027, 29.73),
    "low_contrast": (0.2549, 16.65),
    "inverted": (0.3442, -55.32),
    "thick": (0.7842, -5.42),
    "thin": (0.0777, -42.78),
    "spatter": (0.3522, 55.86),
    "line": (0.3445, 73.13),
    "hole": (0.3157, 61.37),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_gives_the_same_other_images_as_ever_and_leaves_its_input_alone(name):
    before = IMAGES.copy()
    after = corrupt(name, IMAGES, seed=1)
    assert after.dtype == np.uint8 and after.shape == IMAGES.shape
    assert np.array_equal(IMAGES, before)
    assert (after != IMAGES).any(axis=(1, 2)).mean() > 0.8  # a hole may miss the ink
    assert corrupt(name, IMAGES[:0], seed=1).shape == (0, 28, 28)
    stripes = (np.arange(100 * 784, dtype=np.int64) ** 2 // 97 % 256).astype(np.uint8).reshape(100, 28, 28)
    seen = corrupt(name, stripes, seed=1).ravel() / 255
    assert np.mean(seen**2) == pytest.approx(TABLE[name][0], abs=1e-4)
    assert seen @ np.cos(np.arange(78400)) == pytest.approx(TABLE[name][1], abs=0.05)


def apply(move, images=FLOATS):
    return move(images, np.random.default_rng(1))


def flat(value, n=400):
    return np.full((n, 28, 28), value, dtype=np.uint8)


def test_a_shift_moves_by_four_pixels_each_way_to_all_four_diagonals_and_uncovers_black():
    dot = flat(0)
    dot[:, 13, 13] = 255
    places = {tuple(np.argwhere(image)[0].tolist()) for image in corrupt("shift", dot, seed=1)}
    assert places == {(9, 9), (9, 17), (17, 9), (17, 17)}
    white = np.ones((8, 28, 28), np.float32)
    assert (apply(shift(5), white).sum(axis=(1, 2)) == 23 * 23).all()
    assert apply(scale(0.5), white)[:, 0].max() == 0


def test_a_half_turn_is_one_and_a_quarter_turn_goes_either_way():
    assert apply(rotate(180)) == pytest.approx(FLOATS[:, ::-1, ::-1], abs=1e-5)
    turned = apply(rotate(90))
    ways = [np.abs(turned - np.rot90(FLOATS, k, axes=(1, 2))).max(axis=(1, 2)) < 1e-5 for k in (1, 3)]
    assert (ways[0] ^ ways[1]).all()
    assert 0.2 < ways[0].mean() < 0.8


def test_scale_and_shear_go_by_their_factor():
    square = flat(0, 1)
    square[:, 8:20, 8:20] = 255
    for name, factor in (("scale_down", 0.7), ("scale_up", 1.3)):
        assert (corrupt(name, square, 1) / 255).sum() == pytest.approx(144 * factor**2, rel=0.07)
    dot = flat(0, 60)
    dot[:, 3:5, 13:15] = 255  # its middle is 10 rows above the centre
    columns = [ndimage.center_of_mass(image)[1] - 13.5 for image in corrupt("shear", dot, seed=1)]
    assert np.abs(columns) == pytest.approx(0.4 * 10, abs=0.1)
    assert {np.sign(c) for c in columns} == {-1.0, 1.0}


def test_a_hole_is_five_by_five_within_the_box_of_the_digit():
    seen = corrupt("hole", flat(255), seed=1) == 0
    assert (seen.sum(axis=(1, 2)) == 25).all()
    rows, columns = np.flatnonzero(seen.any(axis=(0, 2))), np.flatnonzero(seen.any(axis=(0, 1)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 4, 23)
