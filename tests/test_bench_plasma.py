import numpy as np
import pytest

from bench.plasma import plasma


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
