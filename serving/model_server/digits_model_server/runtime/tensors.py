"""Converts between TensorProto messages and NumPy arrays; the data types by number and name.

Strings are object arrays of bytes.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from digits_model_server.status import invalid

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
    """Return NumPy's type of a DataType; object for strings. Raises Status for one that is not served."""
    try:
        return _DTYPES[number]
    except KeyError:
        raise invalid(f"data type {number} is not supported") from None


def tensor_dtype(dtype: np.dtype[Any]) -> int:
    """Return the DataType of a NumPy type. Raises Status for one that is not served."""
    try:
        return _NUMBERS[dtype]
    except KeyError:
        raise invalid(f"arrays of {dtype} are not supported") from None


def name(number: int) -> str:
    """Return the name of a DataType, such as "float"."""
    return NAMES.get(number, f"type {number}")


def enum_name(number: int) -> str:
    """Return the name of a DataType in its enum, such as "DT_FLOAT"."""
    return f"DT_{name(number).upper()}"


_FIELDS = {
    1: "float_val",
    2: "double_val",
    3: "int_val",
    4: "int_val",
    5: "int_val",
    6: "int_val",
    STRING: "string_val",
    8: "scomplex_val",
    9: "int64_val",
    10: "bool_val",
    BFLOAT16: "half_val",
    17: "int_val",
    18: "dcomplex_val",
    HALF: "half_val",
    22: "uint32_val",
    23: "uint64_val",
}
_COMPLEX = (8, 18)
_BITS = (HALF, BFLOAT16)  # half_val holds their bits


class Undecodable(Exception):
    """A TensorProto that contradicts itself."""


def to_array(proto: Any, most_bytes: int = 0) -> NDArray[Any]:
    """Return a TensorProto as an array. most_bytes: a larger one is refused; 0 for any size.

    Raises Undecodable, or Status for a type that is not served.
    """
    if not proto.dtype:
        raise Undecodable("it has no type")
    dtype = numpy_dtype(proto.dtype)
    if proto.tensor_shape.unknown_rank:
        raise Undecodable("its shape is unknown")
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise Undecodable(f"its shape is {list(shape)}")
    count = math.prod(shape)
    if most_bytes and count * dtype.itemsize > most_bytes:
        raise Undecodable(f"its shape is {list(shape)}, more than {most_bytes} bytes")
    content = proto.tensor_content
    if content and proto.dtype == STRING:
        return _strings(content, count).reshape(shape)
    if content:
        if len(content) != count * dtype.itemsize:
            raise Undecodable(f"{len(content)} bytes of content for shape {list(shape)}")
        return np.frombuffer(content, dtype=dtype).reshape(shape)
    return _from_list(getattr(proto, _FIELDS[proto.dtype]), proto.dtype, dtype, count).reshape(shape)


def _from_list(values: Any, number: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Return as many values as the shape asks for; the last one is repeated for those that are left out."""
    try:
        if number in _BITS:
            flat = np.array(values, dtype=np.uint16).view(dtype)
        elif number in _COMPLEX:
            parts = np.array(values, dtype=dtype.type(0).real.dtype)
            flat = parts.view(dtype)
        elif number == STRING:
            flat = np.empty(len(values), dtype=object)
            flat[:] = values
        else:
            flat = np.array(values, dtype=dtype)
    except (OverflowError, ValueError) as error:
        raise Undecodable(str(error)) from None
    if len(flat) > count:
        raise Undecodable(f"{len(flat)} values for {count} places")
    if len(flat) == count:
        return flat
    filled = np.empty(count, dtype=dtype)
    filled[: len(flat)] = flat
    filled[len(flat) :] = flat[-1] if len(flat) else (b"" if number == STRING else 0)
    return filled


def _strings(content: bytes, count: int) -> NDArray[Any]:
    """Unpack strings from raw content: the length of each as a varint, then their bytes."""
    lengths: list[int] = []
    place = 0
    while len(lengths) < count:
        length = shift = 0
        while True:
            if place >= len(content) or shift > 28:
                raise Undecodable(f"its content ends before {count} strings")
            byte = content[place]
            place += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise Undecodable(f"{len(content)} bytes of content, {place + sum(lengths)} expected")
    flat = np.empty(count, dtype=object)
    for each, length in enumerate(lengths):
        flat[each] = content[place : place + length]
        place += length
    return flat


def fill(proto: Any, array: NDArray[Any], as_content: bool = False) -> None:
    """Write an array into an empty TensorProto: as a list of its type, or as raw bytes."""
    number = tensor_dtype(array.dtype)
    proto.dtype = number
    dimensions = proto.tensor_shape.dim
    for size in array.shape:
        dimensions.add().size = size
    if as_content and number != STRING:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
        return
    flat = array.ravel()
    if number in _BITS:
        flat = flat.view(np.uint16)
    elif number in _COMPLEX:
        flat = flat.view(flat.real.dtype)
    getattr(proto, _FIELDS[number]).extend(flat.tolist())


def parse(alias: str, proto: Any, most_bytes: int) -> NDArray[Any]:
    """Return `to_array`, its failure raised as the INVALID_ARGUMENT that clients of upstream know."""
    try:
        return to_array(proto, most_bytes)
    except Undecodable as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from None
