"""Arrays → the JSON that REST predict answers, in the row or the column format."""

from __future__ import annotations

import base64
import math
from typing import Any

from numpy.typing import NDArray

from serving.model_server import dtypes, json_text
from serving.model_server.dtypes import BFLOAT16, BOOL, DOUBLE, FLOAT, HALF, STRING
from serving.model_server.savedmodel import Arrays
from serving.model_server.statuses import invalid

_UNMAPPED = (8, 18, HALF, BFLOAT16)  # these have no JSON form


def body(answers: Arrays, row: bool) -> str:
    """The body of an answer: `predictions`, a list of rows, or `outputs`, whole tensors. Raises Status."""
    if not row:
        if len(answers) == 1:
            ((alias, array),) = answers.items()
            return f'{{\n    "outputs": {_written(array, alias)}\n}}'
        columns = ", ".join(f"{json_text.string(a)}: {_written(x, a)}" for a, x in answers.items())
        return f'{{\n    "outputs": {{{columns}}}\n}}'
    count = None
    for alias, array in answers.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information")
        if count is not None and len(array) != count:
            raise invalid(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {count}"
            )
        count = len(array)
    columns_of = {alias: _items(array, alias) for alias, array in answers.items()}
    if len(columns_of) == 1:
        rows = next(iter(columns_of.values()))
    else:
        keys = [json_text.string(alias) for alias in columns_of]
        rows = [
            "{" + ", ".join(f"{key}: {text}" for key, text in zip(keys, texts, strict=True)) + "}"
            for texts in zip(*columns_of.values(), strict=True)
        ]
    return '{\n    "predictions": [' + ", ".join(rows) + "]\n}"


def _items(array: NDArray[Any], alias: str) -> list[str]:
    """The JSON of each element along the first dimension."""
    flat = _texts(array, alias)
    if array.ndim == 1:
        return flat
    width = math.prod(array.shape[1:])
    return [_nested(flat[i * width : (i + 1) * width], array.shape[1:]) for i in range(len(array))]


def _written(array: NDArray[Any], alias: str) -> str:
    return _nested(_texts(array, alias), array.shape)


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return texts[0]
    if len(shape) == 1:
        return "[" + ", ".join(texts) + "]"
    width = math.prod(shape[1:])
    parts = [_nested(texts[i * width : (i + 1) * width], shape[1:]) for i in range(shape[0])]
    return "[" + ", ".join(parts) + "]"


def _texts(array: NDArray[Any], alias: str) -> list[str]:
    number = dtypes.tensor_dtype(array.dtype)
    values = array.ravel().tolist()
    if number == STRING:
        if alias.endswith("_bytes"):
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in values]
        return [json_text.string(value.decode("utf-8", "replace")) for value in values]
    if number in (FLOAT, DOUBLE):
        return [json_text.number(value, number == FLOAT) for value in values]
    if number == BOOL:
        return ["true" if value else "false" for value in values]
    if number in _UNMAPPED:
        raise invalid(f"JSON has no form for {dtypes.name(number)}: use gRPC")
    return [str(value) for value in values]
