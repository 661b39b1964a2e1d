"""Writes arrays as the JSON that REST predict answers, by row or by column, spaced as upstream's."""

from __future__ import annotations

import base64
import math
from typing import Any

from numpy.typing import NDArray

from digits_model_server.rest.json import text
from digits_model_server.rest.json.decode import FLOATS, MAPPED
from digits_model_server.runtime import tensors
from digits_model_server.runtime.saved_model import Arrays
from digits_model_server.runtime.tensors import BOOL, FLOAT, STRING
from digits_model_server.status import invalid

STEP = "    "


def body(answers: Arrays, row: bool) -> str:
    """The body of an answer: `predictions`, a list of rows, or `outputs`, whole tensors. Raises Status."""
    if not answers:
        raise invalid("Cannot convert empty tensor map to JSON")
    return _rows(answers) if row else _columns(answers)


def _columns(answers: Arrays) -> str:
    if len(answers) == 1:
        ((alias, array),) = answers.items()
        return f'{{\n    "outputs": {_lines(_texts(array, alias, 1 + array.ndim), array.shape, 1)}\n}}'
    columns = ",\n".join(
        f"{STEP * 2}{text.string(alias)}: {_lines(_texts(array, alias, 2 + array.ndim), array.shape, 2)}"
        for alias, array in answers.items()
    )
    return f'{{\n    "outputs": {{\n{columns}\n    }}\n}}'


def _rows(answers: Arrays) -> str:
    count = None
    for alias, array in answers.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if count is not None and len(array) != count:
            raise invalid(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {count}"
            )
        count = len(array)
    if not count:
        return '{\n    "predictions": []\n}'
    named = len(answers) > 1
    columns = {
        alias: _items(_texts(array, alias, array.ndim + 1 + named), array) for alias, array in answers.items()
    }
    if not named:
        listed = ", ".join(next(iter(columns.values())))
        return f'{{\n    "predictions": [{listed}\n    ]\n}}'
    keys = [f"{STEP * 3}{text.string(alias)}: " for alias in columns]
    rows = [
        f"{STEP * 2}{{\n"
        + ",\n".join(key + text for key, text in zip(keys, texts, strict=True))
        + f"\n{STEP * 2}}}"
        for texts in zip(*columns.values(), strict=True)
    ]
    return '{\n    "predictions": [\n' + ",\n".join(rows) + "\n    ]\n}"


def _items(flat: list[str], array: NDArray[Any]) -> list[str]:
    """The JSON of each element along the first dimension, in one line."""
    if array.ndim == 1:
        return flat
    width = math.prod(array.shape[1:])
    return [_line(flat[i * width : (i + 1) * width], array.shape[1:]) for i in range(len(array))]


def _line(texts: list[str], shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "[" + ", ".join(texts) + "]"
    width = math.prod(shape[1:])
    parts = [_line(texts[i * width : (i + 1) * width], shape[1:]) for i in range(shape[0])]
    return "[" + ", ".join(parts) + "]"


def _lines(texts: list[str], shape: tuple[int, ...], level: int) -> str:
    """Nested lists, each element on a line of its own."""
    if not shape:
        return texts[0]
    if not shape[0]:
        return "[]"
    width = math.prod(shape[1:])
    parts = [_lines(texts[i * width : (i + 1) * width], shape[1:], level + 1) for i in range(shape[0])]
    inner = "\n" + STEP * (level + 1)
    return f"[{inner}{f',{inner}'.join(parts)}\n{STEP * level}]"


def _texts(array: NDArray[Any], alias: str, level: int) -> list[str]:
    """The JSON of each value. level: how many brackets stand around it."""
    number = tensors.tensor_dtype(array.dtype)
    values = array.ravel().tolist()
    if number == STRING:
        if alias.endswith("_bytes"):
            before, after = f'{{\n{STEP * (level + 1)}"b64": "', f'"\n{STEP * level}}}'
            return [before + base64.b64encode(value).decode() + after for value in values]
        return [text.string(value.decode("utf-8", "surrogateescape")) for value in values]
    if number in FLOATS:
        return [text.number(value, number == FLOAT) for value in values]
    if number == BOOL:
        return ["true" if value else "false" for value in values]
    if number not in MAPPED and values:
        raise invalid(f"Failed to write JSON value for tensor type: {tensors.name(number)}")
    return [str(value) for value in values]
