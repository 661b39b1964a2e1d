"""Labelled images: the Split, how it is divided, written and read.

Every stage passes splits on as three `.npy` files in a folder. One that is larger than the memory is mapped
from disk, and `take` reads its rows.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.runtime.errors import DataError


def is_mapped(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array is a whole file's, in C order, rather than in memory or a part of it."""
    if not isinstance(array, np.memmap):
        return False
    base: Any = array.base
    return isinstance(base, mmap.mmap) and array.flags.c_contiguous


def reader(array: np.ndarray[Any, Any], limit: int) -> Callable[[Any], np.ndarray[Any, Any]] | None:
    """What reads rows of an array that is mapped and larger than `limit` bytes; None for another one."""
    return functools.partial(take, array) if is_mapped(array) and array.nbytes > limit else None


def take(array: np.ndarray[Any, Any], rows: NDArray[np.integer[Any]]) -> np.ndarray[Any, Any]:
    """`array[rows]`; of a mapped one read from its file: through the mapping Linux brings in 64 kB for each.

    Raises OSError when the file has become shorter.
    """
    if not is_mapped(array):
        return np.asarray(array[rows])
    assert isinstance(array, np.memmap) and array.filename
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    size = array[0].nbytes
    with Path(array.filename).open("rb", buffering=0) as stream:
        for place in np.argsort(rows):  # from front to back
            at = array.offset + int(rows[place]) * size
            if os.preadv(stream.fileno(), [memoryview(found[place])], at) != size:
                raise OSError(f"{array.filename} ends before row {rows[place]}: it has changed")
    return found


def let_go(array: np.ndarray[Any, Any]) -> None:
    """Give back the memory of what has been read through the mapping, which grows to the file's size.

    Of an array in memory nothing happens.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


CLASSES = 10


@dataclass(frozen=True)
class Split:
    """Labelled images of one part of a data set.

    images: uint8 [n, 28, 28], 0–255, white ink on black as in MNIST.
    labels: uint8 [n], 0–9.
    batches: unicode [n], the data set or incoming batch that each row came from.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    batches: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Split:
        """The rows that an index array or a mask names, in that order."""
        return Split(self.images[rows], self.labels[rows], self.batches[rows])


def concatenate(splits: list[Split]) -> Split:
    """The rows of several splits, one after another."""
    return Split(
        np.concatenate([s.images for s in splits]),
        np.concatenate([s.labels for s in splits]),
        np.concatenate([s.batches for s in splits]),
    )


def split_stratified(
    labels: NDArray[np.uint8], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row numbers (rest, part): `part` holds about `share` of every class, at least one row each.

    Both come in ascending order, so that the rows keep the order of the data set. Raises DataError when a
    class has fewer than two rows, since then one of the parts would lack it.
    """
    rng = np.random.default_rng(seed)
    chosen: list[NDArray[np.intp]] = []
    for digit in np.unique(labels):
        rows = np.flatnonzero(labels == digit)
        if len(rows) < 2:
            raise DataError(
                f"digit {digit} has {len(rows)} image, and splitting a class takes 2: add images of it"
            )
        count = min(len(rows) - 1, max(1, round(share * len(rows))))
        chosen.append(rng.permutation(rows)[:count])
    part = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.intp)
    mask = np.ones(len(labels), dtype=bool)
    mask[part] = False
    return np.flatnonzero(mask), part


def save_split(directory: Path, split: Split) -> None:
    """Write `images.npy`, `labels.npy` and `batches.npy` into a new directory."""
    directory.mkdir(parents=True)
    np.save(directory / "images.npy", np.ascontiguousarray(split.images, dtype=np.uint8), allow_pickle=False)
    np.save(directory / "labels.npy", np.ascontiguousarray(split.labels, dtype=np.uint8), allow_pickle=False)
    np.save(directory / "batches.npy", np.asarray(split.batches, dtype=np.str_), allow_pickle=False)


def load_split(directory: Path, *, mmap: bool = False) -> Split:
    """Read what `save_split` wrote; with `mmap` the images stay on disk until used."""
    try:
        images = np.load(directory / "images.npy", mmap_mode="r" if mmap else None, allow_pickle=False)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        batches = np.load(directory / "batches.npy", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run `dvc repro` to make it") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{directory} is damaged ({error}): delete it and run `dvc repro`") from None
    if images.shape != (len(labels), 28, 28) or images.dtype != np.uint8 or len(batches) != len(labels):
        raise DataError(
            f"{directory} holds images {images.dtype}{list(images.shape)} for {len(labels)} labels, "
            "expected uint8[n, 28, 28]: delete it and run `dvc repro`"
        )
    return Split(images, labels, batches)


HASHED_AT_ONCE = 1 << 16  # rows


def array_sha256(array: np.ndarray[Any, Any]) -> str:
    """Digest of an array's dtype, shape and values; the array has a dimension."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for start in range(0, len(array), HASHED_AT_ONCE):
        digest.update(np.ascontiguousarray(array[start : start + HASHED_AT_ONCE]).data)
        let_go(array)
    return digest.hexdigest()
