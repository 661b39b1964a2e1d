"""The reference of a data set, and how near to it a split must be."""

import numpy as np
import pandas as pd

from digits.validate.rules import PROBED, describe, quantile_ranges, share_ranges
from digits.validate.table import SHAPE_COLUMNS


def rows(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"label": rng.integers(0, 10, n), **{c: rng.normal(shift, 1, n) for c in SHAPE_COLUMNS}}
    )


def within(reference, sample, slack=0.0):
    values = np.quantile(sample["mean"], PROBED)
    ranges = quantile_ranges(reference, "mean", len(sample), slack)
    return all(
        (low is None or low <= value) and (high is None or value <= high)
        for value, (low, high) in zip(values, ranges, strict=True)
    )


def test_a_draw_from_the_reference_passes_at_every_size_and_a_shifted_one_does_not():
    reference = describe(rows(50_000))
    for n in (50, 300, 5000):
        assert all(within(reference, rows(n, seed)) for seed in range(1, 20))
    assert not within(reference, rows(300, 1, shift=0.8))
    assert not within(reference, rows(5000, 1, shift=0.2))


def test_slack_lets_more_pass():
    reference = describe(rows(50_000))
    assert within(reference, rows(20_000, 1, shift=0.15), slack=0.08)
    assert not within(reference, rows(20_000, 1, shift=0.15))


def test_share_ranges_narrow_with_n_and_keep_the_floor():
    reference = describe(rows(50_000))
    few, many = share_ranges(reference, 100, 0.01, 0.02), share_ranges(reference, 100_000, 0.01, 0.02)
    for (low, high), (low_many, high_many) in zip(few, many, strict=True):
        assert 0.02 <= low < low_many < 0.1 < high_many < high
    assert share_ranges(None, 100, 0.01, 0.02) == [(0.02, 1.0)] * 10
