import numpy as np
import pytest
from scipy import ndimage

from bench.mnist_c import CORRUPTIONS, canny, corrupt, plasma
from tests._digits import digits

IMAGES = digits(64, seed=3)[0]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # draw nothing
MOVED = {"shear", "scale", "rotate", "translate"}


def flat(value: int, n: int = 400) -> np.ndarray:
    return np.full((n, 28, 28), value, dtype=np.uint8)


def shares(name: str, images: np.ndarray = IMAGES) -> np.ndarray:
    return corrupt(name, images, seed=1) / 255


def test_there_are_the_fifteen():
    assert list(CORRUPTIONS) == [
        *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate"),
        *("brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges"),
    ]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_gives_other_uint8_images_and_leaves_its_input_alone(name):
    before = IMAGES.copy()
    after = corrupt(name, IMAGES, seed=1)
    assert after.dtype == np.uint8 and after.shape == IMAGES.shape
    assert np.array_equal(IMAGES, before)
    assert (after != IMAGES).any(axis=(1, 2)).mean() > 0.8


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_settles_every_pixel_and_another_draws_anew(name):
    first = corrupt(name, IMAGES, seed=5)
    assert np.array_equal(first, corrupt(name, IMAGES, seed=5))
    assert np.array_equal(first, corrupt(name, IMAGES, seed=6)) == (name in FIXED)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_the_same_whatever_the_others_are(name):
    others = IMAGES[::-1].copy()
    others[10] = IMAGES[10]
    assert np.array_equal(corrupt(name, others, seed=2)[10], corrupt(name, IMAGES, seed=2)[10])


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - FIXED))
def test_equal_images_are_corrupted_each_in_its_own_way(name):
    seen = np.unique(corrupt(name, np.repeat(IMAGES[:1], 40, axis=0), seed=1), axis=0)
    assert len(seen) > (1 if name in MOVED else 20)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - MOVED - {"canny_edges"}))
def test_the_digit_stays_where_it_was(name):
    centre = slice(7, 21)  # a stripe inverts what is beside it
    after = shares(name)[:, :, centre]
    likeness = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(after, IMAGES[:, :, centre], strict=True)
    ]
    assert np.median(likeness) > 0.5


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_images_stay_no_images(name):
    assert corrupt(name, IMAGES[:0], seed=1).shape == (0, 28, 28)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no corruption 'snow'.*shot_noise, .*canny_edges"):
        corrupt("snow", IMAGES, seed=1)


def test_shot_noise_has_the_mean_and_the_spread_of_its_photons():
    third = shares("shot_noise", flat(85)) * 3  # a mean of one; 1.9 % are above three and count as three
    assert sorted(np.unique(third.round(2)).tolist()) == [0, 1, 2, 3]
    assert [(third.round() == k).mean() for k in (0, 1, 2)] == pytest.approx([0.368, 0.368, 0.184], abs=0.005)
    assert (corrupt("shot_noise", IMAGES, seed=1)[IMAGES == 0] == 0).all()


def test_impulse_noise_hits_seventeen_in_a_hundred_half_white_half_black():
    grey = corrupt("impulse_noise", flat(128), seed=1)
    assert [(grey == v).mean() for v in (0, 255)] == pytest.approx([0.085, 0.085], abs=0.003)


def test_glass_scatters_up_and_left_and_blurs_up_and_down_only():
    dot = flat(0, 3000)
    dot[:, 13, 13] = 255
    mean = shares("glass_blur", dot).mean(axis=0)
    assert np.sqrt(mean.sum(axis=0) @ (np.arange(28) - 13) ** 2 / mean.sum()) < 2
    row, column = ndimage.center_of_mass(mean)
    assert row == pytest.approx(13, abs=0.2) and column == pytest.approx(13, abs=0.2)
    line = flat(0, 50)
    line[:, :, 0] = 255
    assert np.array_equal(corrupt("glass_blur", line, seed=1), line)  # the first column stays


def test_motion_blur_smears_to_the_left_within_45_degrees_and_keeps_the_ink():
    dot = flat(0)
    dot[:, 14, 20] = 255
    after = shares("motion_blur", dot)
    rows, columns = np.indices((28, 28))
    assert after.sum(axis=(1, 2)) == pytest.approx(1, abs=0.05)
    assert not after[:, :, 21:].any()
    down = (after * (rows - 14)).sum(axis=(1, 2))
    left = (after * (20 - columns)).sum(axis=(1, 2))
    assert (np.abs(down) <= 1.05 * left + 0.05).all()
    assert np.hypot(down, left) == pytest.approx(3 * np.sqrt(2 / np.pi), abs=0.5)  # half a Gaussian's mean
    assert down.min() < -1 and down.max() > 1


def test_what_lies_beyond_the_edge_is_as_at_the_edge():
    assert (corrupt("motion_blur", flat(200, 50), seed=1) == 200).all()


def test_shear_leans_by_the_sine_and_stretches_by_the_cosine_of_its_angle():
    dot = flat(0, 60)
    dot[:, 3:5, 13:15] = 255
    row, column = np.array([ndimage.center_of_mass(image) for image in shares("shear", dot)]).T - 13.5
    assert row == pytest.approx(-10 / np.cos(0.4), abs=0.15)
    assert np.abs(column) == pytest.approx(10 * np.tan(0.4), abs=0.15)
    assert {*np.sign(column)} == {-1.0, 1.0}


def test_scale_shrinks_to_seven_tenths_and_translate_moves_by_three_pixels():
    square = flat(0, 60)
    square[:, 8:20, 8:20] = 255
    assert shares("scale", square).sum(axis=(1, 2)) == pytest.approx(144 * 0.7**2, rel=0.07)
    moved = np.array([ndimage.center_of_mass(image) for image in shares("translate", square)]) - 13.5
    assert {tuple(m) for m in moved.round(3)} == {(-3.0, -3.0), (-3.0, 3.0), (3.0, -3.0), (3.0, 3.0)}


def test_rotation_turns_by_four_tenths_of_a_radian_both_ways():
    dot = flat(0, 60)
    dot[:, 13:15, 22:24] = 255
    row, column = np.array([ndimage.center_of_mass(image) for image in shares("rotate", dot)]).T - 13.5
    angles = np.arctan2(row, column)
    assert np.abs(angles) == pytest.approx(0.4, abs=0.02)
    assert {*np.sign(angles)} == {-1.0, 1.0}


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
    assert np.abs(np.diff(after[:, :13], axis=2)).mean() < 0.03
    assert after[:, :13].std() > 0.1
    assert not corrupt("fog", flat(0, 3), seed=1).any()  # it is as bright as the brightest pixel allows


def test_spatter_covers_ink_and_ground_with_dark_grey():
    after = corrupt("spatter", flat(255), seed=1)
    assert after.min() == 63
    assert 0.1 < (after < 255).mean() < 0.3
    assert corrupt("spatter", flat(0), seed=1).max() == 63


def test_a_dotted_line_has_two_columns_and_leaves_two():
    ink = shares("dotted_line", flat(0)).max(axis=1) > 0
    assert not ink[:, np.arange(28) // 2 % 2 == 0].any()
    assert ink[:, [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26]].mean() > 0.99


def test_a_zigzag_swings_by_two_pixels_to_each_side_from_column_two_on():
    after = shares("zigzag", flat(0))
    assert not after[:, :, :2].any() and not after[:, :, 26:].any()
    assert after.max() == 1
    rows = np.arange(28)[:, None]
    level = after[after[:, [0, 1, 26, 27]].max(axis=(1, 2)) == 0]  # wholly inside the picture
    course = (level * rows).sum(axis=1)[:, 3:25] / level.sum(axis=1)[:, 3:25]
    swing = course - np.linspace(0, 1, 22) * (course[:, -1:] - course[:, :1]) - course[:, :1]
    assert 3 < np.ptp(swing, axis=1).mean() < 6
    assert len(np.unique(after.reshape(len(after), -1), axis=0)) > 150  # of 270


def test_edges_follow_the_outline():
    edges = corrupt("canny_edges", IMAGES, seed=1)
    assert set(np.unique(edges)) == {0, 255}
    near = ndimage.grey_dilation(IMAGES, (1, 5, 5)) >= 128
    far_inside = ndimage.grey_erosion(IMAGES, (1, 5, 5)) >= 128
    assert (edges[near] > 0).sum() > 0.9 * (edges > 0).sum()
    assert not edges[far_inside].any()


FEW = digits(20, seed=6)[0].astype(np.float32) / np.float32(255)


def test_a_square_has_an_outline_and_nothing_inside():
    square = np.zeros((1, 28, 28), np.float32)
    square[:, 7:21, 7:21] = 0.5
    square[:, 8:20, 8:20] = 1
    edges = canny(square)[0]
    assert 4 * 10 <= edges.sum() <= 4 * 14
    assert not edges[10:18, 10:18].any()
    assert not edges[:6].any() and not edges[:, 22:].any()
    assert (edges[11:17].sum(axis=1) == 2).all()  # a pixel wide, on either side


def test_a_faint_edge_counts_only_where_it_is_joined_to_a_strong_one():
    rising = np.zeros((1, 28, 28), np.float32)
    rising[:, :, 14:] = np.linspace(0.02, 0.3, 28, dtype=np.float32)[:, None]  # times 2.5 is the gradient
    seen = canny(rising)[0, :, 12:16].any(axis=1)
    assert not seen[:2].any()  # too faint for any
    assert seen[5:27].all()
    assert not canny(np.minimum(rising, 0.07)).any()  # from row 5 on as steep as that, and nowhere more


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_image_has_turned_edges(turns):
    turned = canny(np.rot90(FEW, turns, axes=(1, 2)))
    assert (turned == np.rot90(canny(FEW), turns, axes=(1, 2))).mean() > 0.999


def test_an_image_is_alone_in_its_batch():
    together = canny(FEW)
    assert all(np.array_equal(canny(FEW[i : i + 1])[0], together[i]) for i in range(len(FEW)))


def test_nothing_stays_nothing():
    assert canny(FEW[:0]).shape == (0, 28, 28)
    assert not canny(np.zeros((2, 28, 28), np.float32)).any()
    assert not canny(np.ones((2, 28, 28), np.float32)).any()  # the edge of the image is none


def heights(n: int = 300, decay: float = 1.4, seed: int = 1) -> np.ndarray:
    return plasma(n, 28, decay, np.random.default_rng(seed))


def test_windows_are_in_range_and_differ():
    maps = heights()
    assert maps.shape == (300, 28, 28) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert len(np.unique(maps.mean(axis=(1, 2)))) == 300


def test_equal_generators_give_equal_maps():
    assert np.array_equal(heights(20), heights(20))
    assert not np.array_equal(heights(20), heights(20, seed=2))


def test_the_clouds_are_smooth_and_rougher_with_less_decay():
    rough, smooth = (np.abs(np.diff(heights(decay=d), axis=2)).mean() for d in (1.2, 2.0))
    assert smooth < 0.5 * rough < 0.1
    far = np.abs(heights()[:, :, 20] - heights()[:, :, 0]).mean()
    assert far > 3 * np.abs(np.diff(heights(), axis=2)).mean()


def test_the_window_has_no_seam_at_its_margins():
    """At the edges of what is computed, wrong neighbours are joined: none of that may show in the window."""
    steps = np.abs(np.diff(heights(2000), axis=2)).mean(axis=(0, 1))
    assert steps == pytest.approx(steps.mean(), rel=0.2)


def test_no_maps_at_all():
    assert heights(0).shape == (0, 28, 28)
