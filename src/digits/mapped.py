"""Shell helper: arrays that are mapped from disk, as `np.load(…, mmap_mode="r")` gives them."""

from __future__ import annotations

import functools
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
