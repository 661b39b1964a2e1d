"""Converts pixels in whatever form a caller has them to bytes, 784 per image.

Takes buffers (NumPy arrays, memoryview, array), objects with `__array_interface__` (Pillow) or `__array__`
(PyTorch, JAX), and nested lists of ints. Never imports any of these. What could be misread is refused:
floats, which may mean 0–1 or 0–255; booleans; integers outside 0–255; other shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from digits_client.contract import AREA, SIDE
from digits_client.errors import BadRequest

WANTED = f"expected whole numbers 0–255 (white ink on black, as in MNIST) of shape [n, {SIDE}, {SIDE}]"
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


def _array(images: Any) -> bytes:
    view, shape = _view(images)
    if shape[-2:] != (SIDE, SIDE) or len(shape) not in (2, 3):
        raise BadRequest(f"images of shape {list(shape)}: {WANTED} or [{SIDE}, {SIDE}]")
    if 0 in shape:
        return b""
    return _whole(view)


def _view(images: Any) -> tuple[memoryview, tuple[int, ...]]:
    """Return a view of the data and its shape, which `__array_interface__` gives apart from it."""
    view = _buffer(images)
    if view is not None:
        return view, view.shape or ()
    interface = getattr(images, "__array_interface__", None)
    if isinstance(interface, dict) and isinstance(interface.get("data"), bytes):
        if interface["typestr"] != "|u1":
            raise BadRequest(f"images of type {interface['typestr']}: {WANTED}; convert to uint8")
        view, shape = memoryview(interface["data"]), tuple(interface["shape"])
        if interface.get("strides") is None and view.nbytes == math.prod(shape):
            return view, shape
    if hasattr(images, "__array__"):
        view = _buffer(images.__array__())
        if view is not None:
            return view, view.shape or ()
    raise BadRequest(f"images are a {type(images).__name__}: {WANTED}, as an array or nested lists")


def _buffer(images: Any) -> memoryview | None:
    try:
        return memoryview(images)
    except (TypeError, ValueError, BufferError):  # no buffer, or one of an unknown type
        return None


def _whole(view: memoryview) -> bytes:
    """Return the numbers of a view, one byte each."""
    kind = view.format.lstrip("@=<>!|")
    if kind == "B":
        return view.tobytes()
    if kind in "fdeg":
        raise BadRequest(f"images are floats: {WANTED}; {FLOATS}")
    foreign = len(view.format) > 1 and view.format[0] in "<>!"  # a byte order that tolist() can't read
    if foreign or kind not in "bhilqnHILQN":
        raise BadRequest(f"images of type '{view.format}': {WANTED}; convert to uint8")
    return _bytes(_flat(view.tolist()), "images")


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
    return b"".join(_bytes(row, f"row {y} of {name}") for y, row in enumerate(image))


def _bytes(numbers: Any, name: str) -> bytes:
    if isinstance(numbers, bytes | bytearray):
        return bytes(numbers)
    kinds = {type(number) for number in numbers}
    if any(issubclass(kind, float) or "float" in kind.__name__ for kind in kinds):
        raise BadRequest(f"{name} holds floats: {WANTED}; {FLOATS}")
    if any(kind.__name__ in ("bool", "bool_") for kind in kinds):
        raise BadRequest(f"{name} holds booleans: {WANTED}; multiply them by 255")
    try:
        return bytes(list(numbers))
    except ValueError:
        odd = next(number for number in numbers if not 0 <= number <= 255)
        raise BadRequest(f"{name} holds {odd}: {WANTED}") from None
    except TypeError:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise BadRequest(f"{name} holds {names}: {WANTED}") from None
