"""Labels, a seed and an epoch → the order in which that epoch takes the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_order(labels: NDArray[np.uint8], batch: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Row numbers int32 [steps, batch]; the same for equal arguments, whatever ran before.

    Stratified: each class is spread evenly over the epoch, so every batch holds about its share. Rows that do
    not fill a batch are left out, others in each epoch. Fewer rows than `batch`: some appear twice.
    """
    rng = np.random.default_rng([seed, epoch])
    place = np.empty(len(labels))
    for digit in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        place[rows] = (np.arange(len(rows)) + rng.random(len(rows))) / len(rows)
    order = np.argsort(place, kind="stable").astype(np.int32)
    if len(order) < batch:
        order = np.resize(order, batch)
    steps = len(order) // batch
    start = int(rng.integers(len(order) - steps * batch + 1))
    return order[start : start + steps * batch].reshape(steps, batch)
