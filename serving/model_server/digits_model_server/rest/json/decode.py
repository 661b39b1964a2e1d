"""Tensors from the JSON of a predict request: `instances` and `inputs`, row and column formats.

Nested lists of numbers are read at NumPy's speed, where no item has to be looked at by itself.
"""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server.rest.json import text
from digits_model_server.rest.json.text import shown
from digits_model_server.runtime import tensors
from digits_model_server.runtime.saved_model import Arrays, Signature, Tensor, strings
from digits_model_server.runtime.tensors import BOOL, DOUBLE, FLOAT, STRING
from digits_model_server.status import DEADLINE_EXCEEDED, UNIMPLEMENTED, Status, invalid

MOST_DIMENSIONS = 64  # NumPy's; TensorFlow's own are 254
FLOATS = (FLOAT, DOUBLE)
MAPPED = (*FLOATS, 3, 4, 5, 6, STRING, 9, BOOL, 22, 23)  # the types that JSON requests can carry


def reader(number: int) -> Callable[[Any], Any]:
    """What reads one JSON value, no list, as a DataType; it raises Status for one that does not fit."""
    word = tensors.name(number)

    def refuse(value: Any) -> Status:
        return invalid(f"JSON Value: {shown(value)} Type: {text.kind(value)} is not of expected type: {word}")

    def read_float(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse(value)
        with np.errstate(over="ignore"):
            return np.float32(value) if number != DOUBLE else float(value)

    def read_int(value: Any) -> int:
        limits = np.iinfo(tensors.numpy_dtype(number))
        if isinstance(value, bool) or not isinstance(value, int) or not limits.min <= value <= limits.max:
            raise refuse(value)
        return value

    def read_bool(value: Any) -> bool:
        if not isinstance(value, bool):
            raise refuse(value)
        return value

    def read_string(value: Any) -> bytes:
        if isinstance(value, str):
            return value.encode()
        if is_b64(value):
            return unpacked(value["b64"])
        if isinstance(value, dict):
            raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        raise refuse(value)

    def unmapped(value: Any) -> Any:
        if isinstance(value, dict):
            raise refuse(value)
        raise Status(UNIMPLEMENTED, f"Conversion of JSON Value: {shown(value)} to type: {word}")

    if number not in MAPPED:
        return unmapped
    if number in FLOATS:
        return read_float
    return {STRING: read_string, BOOL: read_bool}.get(number, read_int)


def is_b64(value: Any) -> bool:
    """Whether a value is {"b64": …}."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def unpacked(text: str) -> bytes:
    """The bytes of base64, with or without padding, white space or the alphabet of URLs. Raises Status."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    bare = "".join(text.split())
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


@dataclass(frozen=True)
class Bounds:
    """depth: lists in lists, 0 for NumPy's limit. end: when the request's time is up, by time.monotonic()."""

    depth: int = 0
    end: float = math.inf

    def seconds_left(self) -> float | None:
        """Return the seconds left, None without a limit. Raises Status when the time is up."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise Status(DEADLINE_EXCEEDED, "the request's time was up before its JSON was read")
        return None if math.isinf(left) else left


def predict_inputs(document: dict[str, Any], signature: Signature, bounds: Bounds) -> tuple[Arrays, bool]:
    """(arrays by alias, whether in the row format) of a predict body. Raises Status."""
    row, column = "instances" in document, "inputs" in document
    if row and column:
        raise _misshapen(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    if row:
        return _rows(document, signature, bounds), True
    if column:
        return _columns(document["inputs"], signature, bounds), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _misshapen(document: Any, what: str) -> Status:
    return invalid(f"JSON Value: {shown(document)} {what}")


def _rows(document: Any, signature: Signature, bounds: Bounds) -> Arrays:
    instances, inputs = document["instances"], signature.inputs
    if not isinstance(instances, list):
        raise _misshapen(document, "Expecting 'instances' to be an list/array")
    if not instances:
        raise _misshapen(document, "No values in 'instances' array")
    if len(inputs) > 1 and not isinstance(instances[0], dict):
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as "
            "per tensorinfo_map"
        )
    if _is_object(instances[0]):
        return _plain_rows(instances, inputs) or _named_rows(instances, inputs, bounds)
    alias, tensor = next(iter(inputs.items()))
    fast = plain(instances, tensor.dtype)
    if fast is not None:
        return {alias: fast}
    rows = _Rows(tensor, bounds)
    for place, instance in enumerate(instances):
        if _is_object(instance):
            raise invalid(f"Expecting value/list but got object at item {place} of input list")
        try:
            rows.add(instance)
        except Status as error:
            raise invalid(f"Failed to process element: {place} of 'instances' list. Error: {error}") from None
    return {alias: rows.array()}


def _is_object(instance: Any) -> bool:
    return isinstance(instance, dict) and not is_b64(instance)


def _plain_rows(instances: list[Any], inputs: dict[str, Tensor]) -> Arrays | None:
    """Objects of numbers at NumPy's speed; None where it takes a closer look."""
    if not all(isinstance(each, dict) and each.keys() == inputs.keys() for each in instances):
        return None
    arrays: Arrays = {}
    for alias, tensor in inputs.items():
        fast = plain([instance[alias] for instance in instances], tensor.dtype)
        if fast is None:
            return None
        arrays[alias] = fast
    return arrays


def _named_rows(instances: list[Any], inputs: dict[str, Tensor], bounds: Bounds) -> Arrays:
    rows = {alias: _Rows(tensor, bounds) for alias, tensor in inputs.items()}
    for place, instance in enumerate(instances):
        if not _is_object(instance):
            raise invalid(f"Expecting object but got list at item {place} of input list")
        for alias, value in instance.items():
            try:
                if alias not in rows:
                    raise invalid(f"JSON object: does not have named input: {alias}")
                rows[alias].add(value)
            except Status as error:
                raise invalid(
                    f"Failed to process element: {place} key: {alias} of 'instances' list. Error: {error}"
                ) from None
        if instance.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: {shown(instance)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {alias: each.array() for alias, each in rows.items()}


class _Rows:
    """Elements of equal shape on their way to one array."""

    def __init__(self, tensor: Tensor, bounds: Bounds) -> None:
        self._tensor, self._bounds = tensor, bounds
        self._rows: list[NDArray[Any]] = []

    def add(self, value: Any) -> None:
        """One more element. Raises Status."""
        row = _array(value, self._tensor, self._bounds)
        if self._rows and row.size != self._rows[0].size:
            raise invalid(f"Expecting tensor size: {self._rows[0].size} but got: {row.size}")
        if self._rows and row.shape != self._rows[0].shape:
            want, got = (",".join(map(str, shape)) for shape in (self._rows[0].shape, row.shape))
            raise invalid(f"Expecting shape [{want}] but got: [{got}]")
        self._rows.append(row)

    def array(self) -> NDArray[Any]:
        """All of them, stacked."""
        return np.stack(self._rows)


def _columns(given: Any, signature: Signature, bounds: Bounds) -> Arrays:
    inputs = signature.inputs
    if not _is_object(given):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                "per tensorinfo_map"
            )
        ((alias, tensor),) = inputs.items()
        return {alias: _column(given, tensor, bounds)}
    arrays = {}
    for alias, tensor in inputs.items():
        if alias not in given:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        arrays[alias] = _column(given[alias], tensor, bounds)
    return arrays


def _column(value: Any, tensor: Tensor, bounds: Bounds) -> NDArray[Any]:
    fast = plain(value, tensor.dtype)
    return fast if fast is not None else _array(value, tensor, bounds)


def _array(value: Any, tensor: Tensor, bounds: Bounds) -> NDArray[Any]:
    """One value or nested lists, each item looked at. Raises Status."""
    most = min(bounds.depth or MOST_DIMENSIONS, MOST_DIMENSIONS)
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        if len(shape) >= most:
            raise invalid(
                f"JSON Parse error: nested deeper than {most}: expected tensors, as deep as their rank; "
                "--max_json_depth sets the limit"
            )
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    items = _Items(tensor.dtype, shape, bounds)
    items.add(value, 0)
    if tensor.dtype == STRING:
        return strings(items.found).reshape(shape)
    with np.errstate(over="ignore"):
        return np.array(items.found, tensors.numpy_dtype(tensor.dtype)).reshape(shape)


class _Items:
    """The items of nested lists in their order. found: what was added so far."""

    def __init__(self, number: int, shape: list[int], bounds: Bounds) -> None:
        self.found: list[Any] = []
        self._shape, self._bounds, self._read = shape, bounds, reader(number)
        self._kinds: tuple[type, ...] = ()  # of items that are taken as they are, and between what values
        self._least, self._most = -math.inf, math.inf
        if number in FLOATS:
            self._kinds = (float, int)
        elif number in MAPPED and number not in (STRING, BOOL):
            limits = np.iinfo(tensors.numpy_dtype(number))
            self._kinds, self._least, self._most = (int,), int(limits.min), int(limits.max)

    def add(self, value: Any, level: int) -> None:
        """Add one value, or those of lists on their level. Raises Status for what does not fit."""
        shape = self._shape
        if not isinstance(value, list):
            if level != len(shape):
                raise invalid(
                    f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {len(shape)}"
                )
            self.found.append(self._read(value))
            return
        if level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(value) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        self._bounds.seconds_left()
        kinds = self._kinds if level + 1 == len(shape) else ()
        least, most, append = self._least, self._most, self.found.append  # this loop is the slow one
        for each in value:
            if type(each) in kinds and least <= each <= most:
                append(each)
            else:
                self.add(each, level + 1)


def plain(value: Any, number: int) -> NDArray[Any] | None:
    """Nested lists of numbers at NumPy's speed; None where it takes a closer look."""
    if number in (STRING, BOOL) or number not in MAPPED or not isinstance(value, list):
        return None
    try:  # NumPy itself would take a boolean for a number, and make a string of every number beside one
        array = np.array(value) if _only(value, {int, float} if number in FLOATS else {int}) else None
    except (ValueError, OverflowError, RecursionError):
        return None
    if array is None or array.dtype.kind not in "fiu":
        return None
    wanted = tensors.numpy_dtype(number)
    if number not in FLOATS and array.size:
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            return None
    with np.errstate(over="ignore"):  # beyond its range is infinity, as upstream has it
        fitted: NDArray[Any] = array.astype(wanted)
    return fitted


def _only(value: list[Any], kinds: set[type]) -> bool:
    """Whether nested lists hold nothing else than those types, and lists on a level only lists."""
    if value and isinstance(value[0], list):
        return all(isinstance(each, list) and _only(each, kinds) for each in value)
    return kinds.issuperset(map(type, value))
