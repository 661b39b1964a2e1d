"""Merges the inputs of several requests into those of one run, and splits its outputs again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server.batching.settings import BatchSettings
from digits_model_server.status import invalid, precondition

Arrays = Sequence[NDArray[Any]]
MOST_DIMENSIONS = 6  # that padding knows


def rows(arrays: Arrays) -> int:
    """Return the number of rows of a request. Raises Status for a scalar, or inputs that differ in it."""
    if not arrays:
        raise invalid("Batching Run() must have at least one input tensor")
    if any(not array.ndim for array in arrays):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    if any(len(array) != len(arrays[0]) for array in arrays[1:]):
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return len(arrays[0])


def merge_inputs(requests: Sequence[Arrays], settings: BatchSettings) -> list[NDArray[Any]]:
    """Return one array for each input, padded to an allowed size with a row of the last request, which is a
    valid one; arrays of different shapes are padded to one. Raises Status.
    """
    total = sum(len(arrays[0]) for arrays in requests)
    missing = settings.allowed_size(total) - total
    merged = []
    for place in range(len(requests[0])):
        parts = [arrays[place] for arrays in requests]
        if len({part.shape[1:] for part in parts}) > 1:
            parts = _of_one_shape(parts)
        if missing and len(parts[-1]):
            parts.append(np.repeat(parts[-1][:1], missing, axis=0))
        merged.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
    return merged


def _of_one_shape(parts: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the arrays padded at their ends to one shape, each by its own first value as upstream does."""
    if len({part.ndim for part in parts}) > 1 or parts[0].ndim > MOST_DIMENSIONS:
        raise invalid("Only tensors with rank from 1 to 6 can be padded.")
    shape = tuple(max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True))
    filled = []
    for part in parts:
        if part.shape[1:] == shape:
            filled.append(part)
            continue
        if not part.size:
            raise invalid("Got empty tensor in batch of non-empty tensors.")
        larger = np.full((len(part), *shape), part.flat[0], dtype=part.dtype)
        larger[tuple(slice(size) for size in part.shape)] = part
        filled.append(larger)
    return filled


def split_outputs(outputs: Arrays, sizes: Sequence[int], run_with: int) -> list[list[NDArray[Any]]]:
    """Return the outputs of each request. sizes: its rows. run_with: rows of the run. Raises Status."""
    for output in outputs:
        if not output.ndim:
            raise precondition("Batched output tensor has 0 dimensions")
        if len(output) != run_with:
            raise precondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                "the input tensors"
            )
    found, start = [], 0
    for size in sizes:
        found.append([output[start : start + size] for output in outputs])
        start += size
    return found


def join_parts(parts: Sequence[list[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return the outputs of a request from those of its parts."""
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
