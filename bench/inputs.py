"""A job → the images that it needs, from the folders in which the bench ran the data stages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from digits import dataset
from digits.dataset import Split

QUICK_TRAIN, QUICK_TEST = 1000, 300  # images, of a trial of the bench itself


def first(split: Split, n: int) -> Split:
    """The first rows of a split, views."""
    return Split(split.images[:n], split.labels[:n], split.batches[:n])


def splits(job: dict[str, Any], data: str, folder: str, *names: str) -> list[Split]:
    """Splits of a data set (full or sample), raw or prepared; few rows of each in a trial."""
    where = Path(job["scratch"]) / data / "data" / folder
    limits = {"train": QUICK_TRAIN} if job["quick"] else {}
    default = QUICK_TEST if job["quick"] else sys.maxsize
    return [first(dataset.load_split(where / name), limits.get(name, default)) for name in names]
