"""Which rows of an incoming batch are never trained on, so that the model's worth on that batch is known."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from digits.dataset import stratified


def hold_out(
    labels: NDArray[np.uint8], name: str, *, share: float, at_least: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers (train, held out), ascending; about `share` of every digit is held out.

    Nothing is in a batch of fewer than `at_least` rows, where a fifth says too little to pay for its loss,
    and nothing of a digit with a single row. The choice hangs on the batch's name and rows alone: another
    batch beside it changes nothing.
    """
    every = np.arange(len(labels))
    splittable = every[np.bincount(labels, minlength=10)[labels] > 1]
    if share == 0 or len(labels) < at_least or len(splittable) == 0:
        return every, every[:0]
    own_seed = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4])
    _, part = stratified(labels[splittable], share, own_seed)
    held = splittable[part]
    return np.setdiff1d(every, held), held
