"""Finds images of the very same pixels: such pairs must not stand on both sides of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from digits.dataset import Split, split_stratified
from digits.runtime.errors import DataError
from digits.runtime.progress import count


def digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """One 16-byte digest for each of uint8 [n, 28, 28]; equal pixels, equal digests."""
    found = [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)]
    return np.array(found, dtype="S16")


def split_train(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """(train, validation): `share` of every class for validation, equal pictures always on the same side.

    Raises DataError when a class has fewer than two different pictures.
    """
    _, firsts, picture = np.unique(digests(split.images), return_index=True, return_inverse=True)
    order = np.argsort(firsts)  # by first appearance: without copies this is the plain split of the rows
    _, part = split_stratified(split.labels[firsts[order]], share, seed)
    chosen = np.zeros(len(firsts), dtype=bool)
    chosen[order[part]] = True
    held = chosen[picture]
    return split.take(~held), split.take(held)


def refuse_leaks(splits: Mapping[str, Split]) -> None:
    """Raises DataError when two splits share a picture: a score on one would then not be of unseen images."""
    seen = {name: digests(split.images) for name, split in splits.items()}
    for one, other in combinations(seen, 2):
        shared = np.intersect1d(seen[one], seen[other])
        if len(shared):
            row = int(np.flatnonzero(seen[one] == shared[0])[0])
            batches = np.unique(
                np.concatenate([splits[s].batches[np.isin(seen[s], shared)] for s in (one, other)])
            )
            raise DataError(
                f"{one} and {other} share {count(len(shared), 'picture')} (row {row} of {one} is the first; "
                f"they come from {', '.join(batches)}): take the copies out of the data and run `dvc repro`"
            )
