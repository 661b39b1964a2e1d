"""Nested lists of numbers → arrays at NumPy's speed, where no item has to be looked at by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model_server.rest.json.json_values import FLOATS, MAPPED
from serving.model_server.runtime import dtypes
from serving.model_server.runtime.dtypes import BOOL, STRING


def plain(value: Any, number: int) -> NDArray[Any] | None:
    """Nested lists of numbers at NumPy's speed; None where it takes a closer look."""
    if number in (STRING, BOOL) or number not in MAPPED or not isinstance(value, list):
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError, RecursionError):
        return None
    kind, wanted = array.dtype.kind, dtypes.numpy_dtype(number)
    if not array.size:
        return None
    if number in FLOATS:
        return _rounded(array, wanted) if kind in "fiu" and not _has_bool(value) else None
    if kind not in "iu" or _has_bool(value):
        return None
    limits = np.iinfo(wanted)
    if int(array.min()) < limits.min or int(array.max()) > limits.max:
        return None
    return array.astype(wanted)


def _rounded(array: NDArray[Any], wanted: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # beyond its range is infinity, as upstream has it
        rounded: NDArray[Any] = array.astype(wanted)
    return rounded


def _has_bool(value: Any) -> bool:
    """Whether a boolean stands among numbers, where NumPy would take it for 0 or 1."""
    if isinstance(value, list):
        if value and isinstance(value[0], list):
            return any(_has_bool(each) for each in value)
        return bool in set(map(type, value))
    return False
