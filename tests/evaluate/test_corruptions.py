import numpy as np
import pytest
from scipy import ndimage

from digits.evaluate.corruptions import CORRUPTIONS, corrupt, either_way, rotate, scale, shift
from tests._digits import digits

IMAGES, _ = digits(64, seed=3)
X = IMAGES / 255


def shares(name, images=IMAGES):
    return corrupt(name, images, seed=1) / 255


def flat(value, n=400):
    return np.full((n, 28, 28), value, dtype=np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_gives_other_uint8_images_of_the_same_shape_and_leaves_its_input_alone(name):
    before = IMAGES.copy()
    after = corrupt(name, IMAGES, seed=1)
    assert after.dtype == np.uint8 and after.shape == IMAGES.shape
    assert np.array_equal(IMAGES, before)
    assert (after != IMAGES).any(axis=(1, 2)).mean() > 0.8  # a hole may miss the ink
    assert np.array_equal(corrupt(name, IMAGES, seed=1), after)
    assert corrupt(name, IMAGES[:0], seed=1).shape == (0, 28, 28)


@pytest.mark.parametrize(
    "name", ["shift", "rotation_20", "shear", "gaussian_noise", "line", "hole", "spatter"]
)
def test_another_seed_draws_anew(name):
    assert not np.array_equal(corrupt(name, IMAGES, seed=5), corrupt(name, IMAGES, seed=6))


def test_a_shift_moves_by_four_pixels_each_way_to_all_four_diagonals():
    dot = flat(0)
    dot[:, 13, 13] = 255
    places = {tuple(np.argwhere(image)[0].tolist()) for image in corrupt("shift", dot, seed=1)}
    assert places == {(9, 9), (9, 17), (17, 9), (17, 17)}


@pytest.mark.parametrize(("name", "degrees"), [("rotation_20", 20), ("rotation_30", 30)])
def test_a_rotation_turns_a_bar_by_its_angle_both_ways(name, degrees):
    bar = flat(0, 60)
    bar[:, 4:24, 13:15] = 255
    row, column = np.indices((28, 28)) - 13.5
    angles = []
    for image in shares(name, bar):
        moments = [[(image * a * b).sum() for a in (row, column)] for b in (row, column)]
        axis = np.linalg.eigh(moments)[1][:, -1]
        angles.append(np.degrees(np.arctan2(axis[1] * np.sign(axis[0]), abs(axis[0]))))
    assert np.abs(angles) == pytest.approx(degrees, abs=0.5)
    assert 0.2 < np.mean(np.array(angles) > 0) < 0.8


@pytest.mark.parametrize(("name", "factor"), [("scale_down", 0.7), ("scale_up", 1.3)])
def test_scaling_changes_the_area_by_the_square_of_its_factor(name, factor):
    square = flat(0, 1)
    square[:, 8:20, 8:20] = 255
    assert shares(name, square).sum() == pytest.approx(144 * factor**2, rel=0.07)


def test_shear_moves_a_row_sideways_by_two_fifths_of_its_height():
    dot = flat(0, 60)
    dot[:, 3:5, 13:15] = 255  # its middle is 10 rows above the centre
    columns = [ndimage.center_of_mass(image)[1] - 13.5 for image in shares("shear", dot)]
    assert np.abs(columns) == pytest.approx(0.4 * 10, abs=0.1)
    assert {np.sign(c) for c in columns} == {-1.0, 1.0}


def test_noise_has_its_spread():
    grey = shares("gaussian_noise", flat(128))
    inside = grey[(grey > 0.2) & (grey < 0.8)]
    assert inside.size / grey.size == pytest.approx(0.683, abs=0.01)  # ±1 σ = ±0.3


def test_impulse_noise_hits_a_tenth_of_the_pixels_half_white_half_black():
    grey = corrupt("impulse_noise", flat(128), seed=1)
    assert (grey == 255).mean() == pytest.approx(0.05, abs=0.002)
    assert (grey == 0).mean() == pytest.approx(0.05, abs=0.002)


def test_blur_spreads_a_dot_by_one_and_a_half_pixels():
    dot = flat(0, 1)
    dot[:, 13, 13] = 255
    seen = shares("blur", dot)[0]
    rows = np.arange(28) - 13
    assert np.sqrt((seen.sum(axis=1) * rows**2).sum() / seen.sum()) == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dim", 0.3 * X),
        ("bright", np.minimum(X + 0.4, 1)),
        ("low_contrast", 0.35 + 0.3 * X),
        ("inverted", 1 - X),
        ("thick", np.array([ndimage.maximum_filter(x, 3) for x in X])),
    ],
)
def test_intensities_and_strokes_change_as_the_table_says(name, expected):
    assert shares(name) == pytest.approx(expected, abs=0.5 / 255 + 1e-6)


def test_thin_takes_the_least_of_two_by_two_pixels():
    block = flat(0, 1)
    block[:, 10:15, 10:12] = 255
    seen = corrupt("thin", block, seed=1)[0]
    assert np.count_nonzero(seen) == 4 * 1
    assert seen.max() == 255


def test_spatter_adds_to_a_fifteenth_of_a_black_image_and_darkens_nothing():
    assert (shares("spatter", flat(0)) > 0).mean() == pytest.approx(0.0668, abs=0.005)  # above 1.5 sd
    assert (corrupt("spatter", IMAGES, seed=1) >= IMAGES).all()


def test_a_line_is_long_narrow_and_near_the_centre():
    ink = shares("line", flat(0)).sum(axis=(1, 2))
    assert ink.min() > 24 * 1.2 and ink.max() < 28 * np.sqrt(2) * 1.2 + 2


def test_a_hole_is_five_by_five_within_the_box_of_the_digit():
    seen = corrupt("hole", flat(255), seed=1) == 0
    assert (seen.sum(axis=(1, 2)) == 25).all()
    rows, columns = np.flatnonzero(seen.any(axis=(0, 2))), np.flatnonzero(seen.any(axis=(0, 1)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 4, 23)


FLOATS = digits(40, seed=2)[0].astype(np.float32) / np.float32(255)


def apply(move, images=FLOATS):
    return move(images, np.random.default_rng(1))


@pytest.mark.parametrize("move", [shift(0), rotate(0), scale(1), either_way(lambda _: [[1, 0], [0, 1]])])
def test_no_move_changes_nothing(move):
    assert apply(move) == pytest.approx(FLOATS, abs=1e-6)


def test_a_half_turn_is_a_half_turn():
    assert apply(rotate(180)) == pytest.approx(FLOATS[:, ::-1, ::-1], abs=1e-5)


def test_a_quarter_turn_goes_either_way():
    turned = apply(rotate(90))
    ways = [np.abs(turned - np.rot90(FLOATS, k, axes=(1, 2))).max(axis=(1, 2)) < 1e-5 for k in (1, 3)]
    assert (ways[0] ^ ways[1]).all()
    assert 0.2 < ways[0].mean() < 0.8


def test_what_is_uncovered_is_black():
    white = np.ones((8, 28, 28), np.float32)
    assert (apply(shift(5), white).sum(axis=(1, 2)) == 23 * 23).all()
    assert apply(scale(0.5), white)[:, 0].max() == 0
