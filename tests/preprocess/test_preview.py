"""The picture of what augmentation does."""

from dataclasses import replace

import numpy as np

from digits.preprocess.preview import VARIANTS, variants
from tests._digits import digits
from tests.train._recipes import STILL

IMAGES = digits(10, seed=8)[0]
STRONG = replace(STILL, rotation=20.0, shift=2.0, damaged=0.3, wide=0.2, wide_by=2.0)


def test_each_row_holds_variants_of_its_own_digit_by_seed():
    assert (variants(IMAGES, STILL, 1) == IMAGES[:, None]).all()
    changed = variants(IMAGES, STRONG, 1)
    assert changed.shape == (10, VARIANTS, 28, 28) and changed.dtype == np.uint8
    assert (changed != IMAGES[:, None]).any(axis=(2, 3)).all()
    assert (changed == variants(IMAGES, STRONG, 1)).all() and (changed != variants(IMAGES, STRONG, 2)).any()
