import numpy as np
import pytest

from digits.evaluate.corruptions import CORRUPTIONS, corrupt
from tests._digits import digits, stripes, summary

IMAGES, _ = digits(64, seed=3)

TABLE = {  # of corrupted stripes: it stays as it is, so that figures compare
    "shift": (0.2396, -66.42), "rotation_20": (0.2432, -46.53), "rotation_30": (0.2344, -31.60),
    "scale_down": (0.1397, -49.67), "scale_up": (0.2811, -1.51), "shear": (0.2683, -51.04),
    "gaussian_noise": (0.3575, 73.88), "impulse_noise": (0.3437, 83.21), "blur": (0.2461, 0.38),
    "dim": (0.0294, 16.60), "bright": (0.7027, 29.73), "low_contrast": (0.2549, 16.65),
    "inverted": (0.3442, -55.32), "thick": (0.7842, -5.42), "thin": (0.0777, -42.78),
    "spatter": (0.3522, 55.86), "line": (0.3445, 73.13), "hole": (0.3157, 61.37),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_gives_the_same_other_images_as_ever_and_leaves_its_input_alone(name):
    before = IMAGES.copy()
    after = corrupt(name, IMAGES, seed=1)
    assert after.dtype == np.uint8 and after.shape == IMAGES.shape
    assert np.array_equal(IMAGES, before)
    assert (after != IMAGES).any(axis=(1, 2)).mean() > 0.8  # a hole may miss the ink
    assert corrupt(name, IMAGES[:0], seed=1).shape == (0, 28, 28)
    square, weighted = summary(corrupt(name, stripes(), seed=1) / 255)
    assert square == pytest.approx(TABLE[name][0], abs=1e-4)
    assert weighted == pytest.approx(TABLE[name][1], abs=0.05)
