"""The picture of what augmentation does."""

from dataclasses import replace

import numpy as np

from digits.preprocess.preview import VARIANTS, sheet, variants
from tests._digits import digits
from tests.train._recipes import STILL

IMAGES = digits(10, seed=8)[0]
STRONG = replace(STILL, rotation=20.0, shift=2.0, damaged=0.3, wide=0.2, wide_by=2.0)


def test_each_row_holds_variants_of_its_own_digit():
    assert (variants(IMAGES, STILL, 1) == IMAGES[:, None]).all()
    changed = variants(IMAGES, STRONG, 1)
    assert changed.shape == (10, VARIANTS, 28, 28) and changed.dtype == np.uint8
    assert (changed != IMAGES[:, None]).any(axis=(2, 3)).all()


def test_the_seed_decides():
    assert (variants(IMAGES, STRONG, 1) == variants(IMAGES, STRONG, 1)).all()
    assert (variants(IMAGES, STRONG, 1) != variants(IMAGES, STRONG, 2)).any()


def test_the_sheet_has_a_column_for_the_real_digit_and_one_for_each_variant():
    few, many = (sheet(IMAGES, np.repeat(IMAGES[:, None], k, axis=1), "title") for k in (1, 5))
    assert few.shape[0] == many.shape[0] and (many.shape[1] - few.shape[1]) % 4 == 0
    assert (few == sheet(IMAGES, IMAGES[:, None], "title")).all()
