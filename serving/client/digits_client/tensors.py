"""A TensorProto → its numbers, in every form in which servers write them."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any

# DataType of TensorFlow
FLOAT, UINT8, STRING, INT64, BOOL = 1, 4, 7, 9, 10

# DataType → name of the typed list, and the code that `array` has for the raw bytes
_NUMBERS = {FLOAT: ("float_val", "f"), INT64: ("int64_val", "q"), BOOL: ("bool_val", "B")}


def read(tensor: Any, dtype: int, shape: tuple[int, ...]) -> Sequence[float]:
    """The numbers of a tensor that must be of this type and shape, row-major. Raises ValueError.

    They come as raw little-endian bytes, as a typed list, or as a list cut short where its last value
    repeats; an empty list stands for zeros.
    """
    sizes = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != dtype or sizes != shape:
        raise ValueError(f"type {tensor.dtype} and shape {list(sizes)}, expected {dtype} and {list(shape)}")
    size = math.prod(shape)
    name, code = _NUMBERS[dtype]
    if tensor.tensor_content:
        return _raw(tensor.tensor_content, code, size)
    values = list(getattr(tensor, name))
    if len(values) > size:
        raise ValueError(f"{len(values)} numbers for shape {list(shape)}")
    return values + (values[-1:] or [0]) * (size - len(values))


def _raw(content: bytes, code: str, size: int) -> Sequence[float]:
    numbers = array(code)
    if len(content) != size * numbers.itemsize:
        raise ValueError(f"{len(content)} bytes for {size} numbers of {numbers.itemsize} bytes")
    numbers.frombytes(content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
