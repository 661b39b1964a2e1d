"""Draws a reading on its photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading.results import Box, Reading

Picture = NDArray[np.uint8]

ACCEPTED, DOUBTED, UNREAD = (
    (0, 130, 60),
    (215, 90, 0),
    (160, 60, 190),
)  # RGB: also told apart by line and mark
SMALLEST = 900  # pixels of the longer side: smaller photos are enlarged, so that the marks can be read


def annotated(photo: Picture, reading: Reading) -> Picture:
    """Return the photo, uint8 [h, w] or [h, w, 3], as uint8 [h, w, 3] with a box and a digit for each read.

    Accepted fields are green; in others, and around digits that are not sure, boxes are orange, with a
    question mark; what was not read is crossed out in violet.
    """
    by = max(1.0, SMALLEST / max(photo.shape[:2]))
    made = np.array(np.dstack([photo] * 3) if photo.ndim == 2 else photo, order="C")
    if by > 1:
        made = cv2.resize(made, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC)
    thick = max(1, round(max(made.shape[:2]) / 700))
    for field in reading.fields:
        colour = ACCEPTED if field.accepted else DOUBTED
        left, top, right, bottom = _corners(field.box, by, 3 * thick)
        cv2.line(made, (left, bottom), (right, bottom), colour, 2 * thick)
        for digit in field.digits:
            sure = digit.accepted
            own = ACCEPTED if sure and field.accepted else DOUBTED
            left, top, right, bottom = _corners(digit.box, by, thick)
            cv2.rectangle(made, (left, top), (right, bottom), own, thick)
            _write(made, f"{digit.digit}{'' if sure else '?'}", (left, top), own, thick)
    for each in reading.unread:
        left, top, right, bottom = _corners(each.box, by, thick)
        cv2.rectangle(made, (left, top), (right, bottom), UNREAD, thick)
        cv2.line(made, (left, top), (right, bottom), UNREAD, thick)
        cv2.line(made, (left, bottom), (right, top), UNREAD, thick)
    return made


def _corners(box: Box, by: float, pad: int) -> tuple[int, int, int, int]:
    left, top = round(box.x * by) - pad, round(box.y * by) - pad
    return left, top, round((box.x + box.w) * by) + pad, round((box.y + box.h) * by) + pad


def _write(
    picture: Picture, text: str, corner: tuple[int, int], colour: tuple[int, int, int], thick: int
) -> None:
    """Above a corner, or below it where there is no room, on white."""
    scale = 0.35 + 0.3 * thick
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x = max(0, corner[0])
    y = corner[1] - 2 * thick if corner[1] > height + 4 * thick else corner[1] + height + 3 * thick
    cv2.rectangle(
        picture, (x - thick, y - height - thick), (x + width + thick, y + thick), (255, 255, 255), -1
    )
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)
