import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import center_of_mass

from digits.model.canonicalize import by_bisection, by_selection, canonicalize
from tests._digits import digits


@pytest.fixture(scope="module")
def images():
    return digits(40, seed=3)[0]


@pytest.fixture(scope="module")
def canonical(images):
    return canonicalize(images).numpy()


def apart(a, b):
    """Mean difference of each image, but of the tenth that differ most: a pixel's rounding moves those."""
    return np.sort(np.abs(a - b).mean(axis=(1, 2)))[: -len(a) // 10].max()


def test_clean_digits_pass_almost_unchanged_and_blank_ones_become_zeros(images, canonical):
    assert canonical.dtype == np.float32
    assert canonical.min() == 0 and canonical.max() == 1
    assert apart(canonical, images / 255) < 0.02
    floats = (images / 255).astype(np.float32)
    assert np.allclose(canonicalize(floats), canonical, atol=1e-6)
    blank = np.array([0, 3, 128, 255], np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    assert np.array_equal(canonicalize(blank), np.zeros((4, 28, 28)))
    assert canonicalize(images[:0]).shape == (0, 28, 28)


def test_noise_hardly_moves_a_digit(images, canonical):
    noise = np.random.default_rng(0).normal(0, 0.2, images.shape)
    noisy = canonicalize(np.rint(255 * np.clip(images / 255 + noise, 0, 1)).astype(np.uint8)).numpy()
    centres = [
        np.array([center_of_mass(np.where(x > 0.6, x, 0)) for x in each]) for each in (noisy, canonical)
    ]
    assert (np.quantile(np.abs(centres[0] - centres[1]), 0.9, axis=0) < 1.1).all()


def test_inverted_dim_bright_and_flat_digits_become_the_same(images, canonical):
    x = images / 255
    for changed in (1 - x, 0.3 * x, 0.35 + 0.3 * x, 0.65 - 0.3 * x):
        assert apart(canonicalize(np.rint(255 * changed).astype(np.uint8)).numpy(), canonical) < 0.01
    bright = np.clip(x + 0.4, 0, 1)  # loses the upper tones, but neither place nor shape
    assert apart(canonicalize(np.rint(255 * bright).astype(np.uint8)).numpy(), canonical) < 0.05


def test_shifted_digits_come_back_to_the_middle(images, canonical):
    padded = np.pad(images, ((0, 0), (14, 14), (14, 14)))
    for shift in ((4, 4), (-4, 3), (0, -4)):
        moved = np.roll(padded, shift, axis=(1, 2))[:, 14:-14, 14:-14]
        whole = moved.sum(axis=(1, 2)) == images.sum(axis=(1, 2))  # nothing was pushed over the edge
        assert whole.sum() > 10
        assert np.array_equal(canonicalize(moved[whole]), canonical[whole])


@pytest.mark.parametrize("rank", [1, 8, 54, 300])
def test_both_ways_to_the_nth_brightest_agree_to_the_last_bit(rank):
    rng = np.random.default_rng(2)
    rows = [rng.random((200, 784))]
    rows += [rng.integers(0, n, (count, 784)) / (n - 1) for n, count in ((256, 200), (257, 50))]
    rows += [np.zeros((1, 784)), np.ones((1, 784)), (rng.random((200, 784)) > 0.99) * rng.random((200, 784))]
    values = tf.constant(np.concatenate(rows).astype(np.float32))
    for quick, compiled in zip(by_selection(values, rank), by_bisection(values, rank), strict=True):
        np.testing.assert_array_equal(quick.numpy(), compiled.numpy())


def test_what_xla_compiles_gives_the_same_but_for_rounding(images, canonical):
    made = tf.function(lambda x: canonicalize(x, compiled=True), jit_compile=True)(tf.constant(images))
    np.testing.assert_allclose(made.numpy(), canonical, atol=1e-6)
