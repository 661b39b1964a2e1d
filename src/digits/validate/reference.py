"""What a data set is known to look like: measured once, compared with ever after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from digits.dataset import CLASSES
from digits.validate.table import SHAPE_COLUMNS

GRID = np.linspace(0.0, 1.0, 101)
PROBED = (0.05, 0.25, 0.5, 0.75, 0.95)  # the quantiles that a split is compared at
MISTAKE = 1e-6  # chance that a split drawn from the reference itself is found different


def describe(rows: pd.DataFrame) -> dict[str, Any]:
    """The reference made of a data set's rows: their number, digit shares, quantiles of each shape column."""
    counts = np.bincount(rows["label"], minlength=CLASSES)
    return {
        "rows": len(rows),
        "class_share": [round(float(c) / len(rows), 5) for c in counts],
        "quantiles": {
            column: [round(float(q), 4) for q in np.quantile(rows[column], GRID)] for column in SHAPE_COLUMNS
        },
    }


def quantile_ranges(reference: dict[str, Any], column: str, n: int, slack: float) -> list[list[float | None]]:
    """[low, high] for each probed quantile of a column over n rows; None is no bound on that side.

    The bounds are the reference's own quantiles at p ∓ (slack + ε). ε is the distance that, by the
    Dvoretzky–Kiefer–Wolfowitz inequality with Massart's constant (Annals of Probability 18(3), 1990), the
    empirical distribution of n rows keeps to but for chance `MISTAKE`; slack is for splits that were never
    drawn from one pot, as MNIST's writers were not.
    """
    reach = slack + math.sqrt(math.log(2 / MISTAKE) / (2 * n))
    known = np.asarray(reference["quantiles"][column])

    def at(p: float) -> float | None:
        return round(float(np.interp(p, GRID, known)), 4) if 0 <= p <= 1 else None

    return [[at(p - reach), at(p + reach)] for p in PROBED]


def share_ranges(
    reference: dict[str, Any] | None, n: int, tolerance: float, least: float
) -> list[tuple[float, float]]:
    """(low, high) for the share of each digit in n rows: the reference's ± (tolerance + 4 standard errors).

    Without a reference only the floor `least` holds.
    """
    if reference is None:
        return [(least, 1.0)] * CLASSES
    ranges = []
    for share in reference["class_share"]:
        reach = tolerance + 4 * math.sqrt(share * (1 - share) / n)
        ranges.append((round(max(least, share - reach), 4), round(min(1.0, share + reach), 4)))
    return ranges
