"""JSON values → arrays: the row and the column format of REST predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model_server import dtypes, json_text
from serving.model_server.dtypes import BOOL, STRING
from serving.model_server.json_values import FLOATS, UNMAPPED, is_b64, reader
from serving.model_server.savedmodel import Arrays, Signature, Tensor, strings
from serving.model_server.statuses import Status, invalid


def predict_inputs(document: Any, signature: Signature, deepest: int) -> tuple[Arrays, bool]:
    """(arrays by alias, whether in the row format) of a predict body. Raises Status."""
    if not isinstance(document, dict):
        raise invalid("JSON Value: Is not object")
    row, column = "instances" in document, "inputs" in document
    if row and column:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if row:
        return _rows(document["instances"], signature, deepest), True
    if column:
        return _columns(document["inputs"], signature, deepest), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _rows(instances: Any, signature: Signature, deepest: int) -> Arrays:
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    inputs = signature.inputs
    named = isinstance(instances[0], dict) and not is_b64(instances[0])
    if not named and len(inputs) != 1:
        raise invalid(
            f"instances is a plain list, but expecting list of objects as multiple inputs are required. "
            f"Inputs: {_set(inputs)}"
        )
    for place, instance in enumerate(instances):
        is_object = isinstance(instance, dict) and not is_b64(instance)
        if is_object and not named:
            raise invalid(f"Expecting value/list but got object at item {place} of input list")
        if named and not is_object:
            got = "list" if isinstance(instance, list) else "value"
            raise invalid(f"Expecting object but got {got} at item {place} of input list")
        if named and instance.keys() != inputs.keys():
            keys = _set(inputs)
            raise _element(place, None, f"keys must be equal to: {keys}")
    if not named:
        ((alias, tensor),) = inputs.items()
        return {alias: _stack(instances, tensor, None, deepest)}
    return {
        alias: _stack([instance[alias] for instance in instances], tensor, alias, deepest)
        for alias, tensor in inputs.items()
    }


def _stack(values: list[Any], tensor: Tensor, alias: str | None, deepest: int) -> NDArray[Any]:
    """Rows of equal shape as one array."""
    fast = _plain(values, tensor.dtype)
    if fast is not None:
        return fast
    rows: list[NDArray[Any]] = []
    for place, value in enumerate(values):
        try:
            row = _array(value, tensor, deepest)
        except Status as error:
            raise _element(place, alias, str(error), plain=True) from None
        if rows and row.size != rows[0].size:
            raise _element(place, alias, f"Expecting tensor size: {rows[0].size} but got: {row.size}")
        if rows and row.shape != rows[0].shape:
            want, got = (",".join(map(str, shape)) for shape in (rows[0].shape, row.shape))
            raise _element(place, alias, f"Expecting shape [{want}] but got: [{got}]")
        rows.append(row)
    return np.stack(rows)


def _element(place: int, alias: str | None, text: str, plain: bool = False) -> Status:
    key = f" key: {alias}" if alias is not None else ""
    message = text if plain else f"INVALID_ARGUMENT: {text}"
    return invalid(f"Failed to process element: {place}{key} of 'instances' list. Error: {message}")


def _columns(given: Any, signature: Signature, deepest: int) -> Arrays:
    inputs = signature.inputs
    if not (isinstance(given, dict) and not is_b64(given)):
        if len(inputs) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple inputs are required"
            )
        ((alias, tensor),) = inputs.items()
        return {alias: _column(given, tensor, deepest)}
    arrays = {}
    for alias, tensor in inputs.items():
        if alias not in given:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
        arrays[alias] = _column(given[alias], tensor, deepest)
    return arrays


def _column(value: Any, tensor: Tensor, deepest: int) -> NDArray[Any]:
    fast = _plain(value, tensor.dtype)
    return fast if fast is not None else _array(value, tensor, deepest)


def _plain(value: Any, number: int) -> NDArray[Any] | None:
    """Nested lists of numbers at NumPy's speed; None where it takes a closer look."""
    if number in (STRING, BOOL) or number in UNMAPPED or not isinstance(value, list):
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


def _array(value: Any, tensor: Tensor, deepest: int) -> NDArray[Any]:
    """One value or nested lists, each item looked at. Raises Status."""
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        if deepest and len(shape) >= min(deepest, 64):
            raise json_text.too_deep(min(deepest, 64))
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    items: list[Any] = []
    _collect(value, shape, 0, items, reader(tensor.dtype))
    array = strings(items) if tensor.dtype == STRING else np.array(items, dtypes.numpy_dtype(tensor.dtype))
    return array.reshape(shape)


def _collect(value: Any, shape: list[int], level: int, items: list[Any], read: Callable[[Any], Any]) -> None:
    if level == len(shape):
        items.append(read(value))
        return
    if not isinstance(value, list):
        raise invalid(f"JSON Value: {json_text.shown(value)} Type: {json_text.kind(value)} is not list/array")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for each in value:
        _collect(each, shape, level + 1, items, read)


def _set(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"
