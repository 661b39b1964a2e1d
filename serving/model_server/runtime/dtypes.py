"""TensorFlow's data types by number, NumPy's, and the names that error texts use."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from serving.model_server.status import invalid

FLOAT, DOUBLE, STRING, BOOL, HALF, BFLOAT16 = 1, 2, 7, 10, 19, 14
_NUMPY: dict[int, Any] = {
    FLOAT: np.float32,
    DOUBLE: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    STRING: np.object_,
    8: np.complex64,
    9: np.int64,
    BOOL: np.bool_,
    BFLOAT16: ml_dtypes.bfloat16,
    17: np.uint16,
    18: np.complex128,
    HALF: np.float16,
    22: np.uint32,
    23: np.uint64,
}
_DTYPES: dict[int, np.dtype[Any]] = {number: np.dtype(kind) for number, kind in _NUMPY.items()}
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
NAMES = {
    FLOAT: "float",
    DOUBLE: "double",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    STRING: "string",
    8: "complex64",
    9: "int64",
    BOOL: "bool",
    BFLOAT16: "bfloat16",
    17: "uint16",
    18: "complex128",
    HALF: "half",
    22: "uint32",
    23: "uint64",
}


def numpy_dtype(number: int) -> np.dtype[Any]:
    """NumPy's type of a DataType; object for strings. Raises Status for one that is not served."""
    try:
        return _DTYPES[number]
    except KeyError:
        raise invalid(f"data type {number} is not supported") from None


def tensor_dtype(dtype: np.dtype[Any]) -> int:
    """DataType of a NumPy type. Raises Status."""
    try:
        return _NUMBERS[dtype]
    except KeyError:
        raise invalid(f"arrays of {dtype} are not supported") from None


def name(number: int) -> str:
    """The word for a DataType."""
    return NAMES.get(number, f"type {number}")


def enum_name(number: int) -> str:
    """A DataType as its enum spells it."""
    return f"DT_{name(number).upper()}"
