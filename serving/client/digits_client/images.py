"""Converts pixels in whatever form a caller has them to bytes: of MNIST-like images, and of lines of writing.

Takes buffers (NumPy arrays, memoryview, array), objects with `__array_interface__` (Pillow) or `__array__`
(PyTorch, JAX), and nested lists of ints. Never imports any of these. What could be misread is refused:
floats, which may mean 0–1 or 0–255; booleans; integers outside 0–255; other shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from digits_client.contract import AREA, HEIGHT, SIDE, WIDEST
from digits_client.errors import BadRequest

WANTED = f"expected whole numbers 0–255 (white ink on black, as in MNIST) of shape [n, {SIDE}, {SIDE}]"
LINE = f"expected whole numbers 0–255 of shape [{HEIGHT}, w], w from 1 to {WIDEST}"
FLOATS = "floats are refused, as 1.0 may mean white or almost black; scale to 0–255 and convert to uint8"
FILE_MAGICS = (b"\x89PNG", b"\xff\xd8\xff")


def pixels(images: Any) -> bytes:
    """Return all images one after another, row by row. Raises BadRequest."""
    first = images[0] if isinstance(images, list | tuple) and images else images
    if isinstance(first, bytes | bytearray) and first.startswith(FILE_MAGICS):
        raise BadRequest("these bytes are a picture file, not pixels: use predict_bytes or predict_files")
    if isinstance(images, list | tuple):
        return _listed(images)
    return _array(images)


def lines(given: Any) -> list[tuple[bytes, int]]:
    """Return the pixels of each line, row by row, and its width. Raises BadRequest."""
    first = given[0] if isinstance(given, list | tuple) and given else given
    if isinstance(first, bytes | bytearray | str) or hasattr(first, "__fspath__"):
        raise BadRequest("lines are pixels, not picture files: use predict_line_pictures for files")
    if isinstance(given, list | tuple):
        each = [given] if given and _is_row(first) else given
        return [_line(one, f"line {i}") for i, one in enumerate(each)]
    view, shape = _view(given, "lines", LINE)
    if len(shape) == 2:
        return [_line(given, "line 0")]
    if len(shape) != 3:
        raise BadRequest(f"lines of shape {list(shape)}: {LINE} each")
    _check_line(shape[1:], "lines")
    data, size = _whole(view, "lines", LINE), shape[1] * shape[2]
    return [(data[start : start + size], shape[2]) for start in range(0, len(data), size)]


def _line(line: Any, name: str) -> tuple[bytes, int]:
    if not isinstance(line, list | tuple):
        view, shape = _view(line, name, LINE)
        _check_line(shape, name)
        return _whole(view, name, LINE), shape[1]
    widths = {len(row) if hasattr(row, "__len__") else 0 for row in line}
    if len(widths) != 1:
        raise BadRequest(
            f"{name} has {len(line)} rows of {', '.join(map(str, sorted(widths)))} numbers: {LINE}"
        )
    (width,) = widths
    _check_line((len(line), width), name)
    return b"".join(_bytes(row, f"row {y} of {name}", LINE) for y, row in enumerate(line)), width


def _check_line(shape: tuple[int, ...], name: str) -> None:
    if len(shape) != 2 or shape[0] != HEIGHT or not 0 < shape[1] <= WIDEST:
        raise BadRequest(f"{name} of shape {list(shape)}: {LINE}")


def _array(images: Any) -> bytes:
    view, shape = _view(images, "images", WANTED)
    if shape[-2:] != (SIDE, SIDE) or len(shape) not in (2, 3):
        raise BadRequest(f"images of shape {list(shape)}: {WANTED} or [{SIDE}, {SIDE}]")
    if 0 in shape:
        return b""
    return _whole(view, "images", WANTED)


def _view(images: Any, name: str, wanted: str) -> tuple[memoryview, tuple[int, ...]]:
    """Return a view of the data and its shape, which `__array_interface__` gives apart from it."""
    view = _buffer(images)
    if view is not None:
        return view, view.shape or ()
    interface = getattr(images, "__array_interface__", None)
    if isinstance(interface, dict) and isinstance(interface.get("data"), bytes):
        if interface["typestr"] != "|u1":
            raise BadRequest(f"{name} of type {interface['typestr']}: {wanted}; convert to uint8")
        view, shape = memoryview(interface["data"]), tuple(interface["shape"])
        if interface.get("strides") is None and view.nbytes == math.prod(shape):
            return view, shape
    if hasattr(images, "__array__"):
        view = _buffer(images.__array__())
        if view is not None:
            return view, view.shape or ()
    raise BadRequest(f"{name} given as {type(images).__name__}: {wanted}, as an array or nested lists")


def _buffer(images: Any) -> memoryview | None:
    try:
        return memoryview(images)
    except (TypeError, ValueError, BufferError):  # no buffer, or one of an unknown type
        return None


def _whole(view: memoryview, name: str, wanted: str) -> bytes:
    """Return the numbers of a view, one byte each."""
    kind = view.format.lstrip("@=<>!|")
    if kind == "B":
        return view.tobytes()
    if kind in "fdeg":
        raise BadRequest(f"{name} of floats: {wanted}; {FLOATS}")
    foreign = len(view.format) > 1 and view.format[0] in "<>!"  # a byte order that tolist() can't read
    if foreign or kind not in "bhilqnHILQN":
        raise BadRequest(f"{name} of type '{view.format}': {wanted}; convert to uint8")
    return _bytes(_flat(view.tolist()), name, wanted)


def _flat(value: Any) -> list[Any]:
    while value and isinstance(value[0], list):
        value = [item for part in value for item in part]
    return list(value)


def _listed(images: Sequence[Any]) -> bytes:
    if not images:
        return b""
    if _is_row(images[0]):  # one image, as rows
        return _image(images, "image")
    return b"".join(_image(image, f"image {i}") for i, image in enumerate(images))


def _is_row(item: Any) -> bool:
    if isinstance(item, list | tuple):
        return bool(item) and (not hasattr(item[0], "__len__") or isinstance(item[0], str))
    return len(getattr(item, "shape", ())) == 1 or isinstance(item, bytes | bytearray)


def _image(image: Any, name: str) -> bytes:
    if not isinstance(image, list | tuple):
        made = _array(image)
        if len(made) != AREA:
            raise BadRequest(f"{name} holds {len(made) // AREA} images: {WANTED}, or a list of single images")
        return made
    widths = {len(row) if hasattr(row, "__len__") else 0 for row in image}
    if len(image) != SIDE or widths != {SIDE}:
        counts = ", ".join(map(str, sorted(widths)))
        raise BadRequest(f"{name} has {len(image)} rows of {counts} numbers: {WANTED}")
    return b"".join(_bytes(row, f"row {y} of {name}", WANTED) for y, row in enumerate(image))


def _bytes(numbers: Any, name: str, wanted: str) -> bytes:
    if isinstance(numbers, bytes | bytearray):
        return bytes(numbers)
    kinds = {type(number) for number in numbers}
    if any(issubclass(kind, float) or "float" in kind.__name__ for kind in kinds):
        raise BadRequest(f"{name} holds floats: {wanted}; {FLOATS}")
    if any(kind.__name__ in ("bool", "bool_") for kind in kinds):
        raise BadRequest(f"{name} holds booleans: {wanted}; multiply them by 255")
    try:
        return bytes(list(numbers))
    except ValueError:
        odd = next(number for number in numbers if not 0 <= number <= 255)
        raise BadRequest(f"{name} holds {odd}: {wanted}") from None
    except TypeError:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise BadRequest(f"{name} holds {names}: {wanted}") from None
