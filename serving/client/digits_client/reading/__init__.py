"""Reads photos with one or many digits: which digits, where, in which fields. Needs the extra `read`.

    from digits_client import DigitClient
    from digits_client.reading import opened, read

    with DigitClient("localhost:8500") as client:
        for field in read(opened("form.jpg"), client.predict_lines).fields:
            print(field.kind, field.text, field.confidence, field.accepted)

OpenCV finds lines of writing here, the model on the server reads them. Without TensorFlow.
"""

try:
    import cv2  # noqa: F401
    import numpy  # noqa: F401
    import PIL  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"digits_client.reading needs OpenCV, NumPy and Pillow ({error}): pip install 'digits-client[read]'"
    ) from error

from digits_client.reading.drawing import annotated
from digits_client.reading.opening import decoded, opened
from digits_client.reading.reader import read, read_later
from digits_client.reading.results import (
    Box,
    Digit,
    Field,
    Line,
    LineImage,
    Reading,
    Separator,
    Unread,
    as_tree,
)

__all__ = [
    "Box",
    "Digit",
    "Field",
    "Line",
    "LineImage",
    "Reading",
    "Separator",
    "Unread",
    "annotated",
    "as_tree",
    "decoded",
    "opened",
    "read",
    "read_later",
]
