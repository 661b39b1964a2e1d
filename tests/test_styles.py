import numpy as np
import pytest

from digits import styles


@pytest.mark.parametrize("digit", range(10))
def test_every_digit_is_ink_of_a_digits_size_by_many_hands(digit):
    drawn = np.stack([styles.draw(digit, np.random.default_rng(seed)) for seed in range(40)])
    assert drawn.dtype == np.uint8 and drawn.shape == (40, 28, 28)
    ink = drawn > 100
    assert (ink.sum(axis=(1, 2)) >= 15).all() and (ink.mean(axis=(1, 2)) < 0.5).all()
    assert (ink.any(axis=2).sum(axis=1) >= 12).all(), "as high as a digit"
    assert len(np.unique(drawn, axis=0)) == 40


def test_a_pool_is_class_by_class_and_the_same_for_the_same_seed():
    images, labels = styles.pool(3, seed=5)
    assert labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    assert np.array_equal(images, styles.pool(3, seed=5)[0])
    assert not np.array_equal(images, styles.pool(3, seed=6)[0])


def test_the_shapes_of_different_digits_differ_more_than_those_of_one():
    images, labels = styles.pool(60, seed=1)
    means = np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
    others, other_labels = styles.pool(20, seed=2)
    nearest = np.square(others[:, None] - means).sum(axis=(2, 3)).argmin(axis=1)
    assert (nearest == other_labels).mean() > 0.4  # of ten


def test_corners_are_cut_and_ends_are_kept():
    corner = [(0.0, 0.0), (8.0, 0.0), (8.0, 8.0)]
    line = styles.bent(corner, times=3)
    assert np.allclose(line[[0, -1]], [corner[0], corner[-1]])
    assert np.abs(line - (8, 0)).sum(axis=1).min() > 1
    assert np.allclose(styles.bent(corner[:2]), corner[:2]), "a straight stroke has none"


def test_the_thinnest_pen_draws():
    page = np.zeros((10, 10), np.uint8)
    styles.stroke(page, [(1, 5), (8, 5)], 0.1)
    assert page[5, 2:8].min() > 100 and not page[:3].any()
