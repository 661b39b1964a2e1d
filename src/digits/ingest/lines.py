"""Makes a picture of one line of writing a row for the line reader, and reads the text that it came with."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.line_model.lines import HEIGHT, LONGEST, SEPARATOR, STEP, WIDEST, columns
from digits.normalize import BLANK, to_grey
from digits.runtime.errors import DataError

BETWEEN = re.compile("[.,]+")  # dot or comma, the reader has one class for what separates digits
TEXT = re.compile(r"[0-9., ]*[0-9][0-9., ]*|")  # nothing, or something with a digit


def characters(text: str) -> list[int]:
    """What a text says, 0–9 and SEPARATOR between digits; nothing for an empty one. Spaces are no characters.

    Raises DataError when it has other characters, or no digit, or too many of them.
    """
    if not TEXT.fullmatch(text):
        raise DataError("expected digits with a dot, a comma or a space between them, or nothing")
    written = BETWEEN.sub(".", text.replace(" ", "")).strip(".")
    if len(written) > LONGEST:
        raise DataError(f"it has {len(written)} characters, expected at most {LONGEST}")
    return [SEPARATOR if each == "." else int(each) for each in written]


def line_of(picture: NDArray[Any], text: list[int]) -> NDArray[np.uint8]:
    """Return a picture of one line as uint8 [32, w], its polarity kept and its proportions to half a STEP.

    picture: as `digits.normalize` takes it. text: what it says. Raises DataError when the picture is blank,
    too wide, or too narrow for the text.
    """
    grey = to_grey(picture)
    height, width = grey.shape
    scaled = width * HEIGHT / height
    if scaled > WIDEST:
        raise DataError(
            f"the picture is {width} pixels wide and {height} high, too wide for a line: expected at most "
            f"{WIDEST // HEIGHT} times as wide as high"
        )
    size = max(STEP, round(scaled / STEP) * STEP)
    if columns(text) > size // STEP:
        raise DataError(
            f"the picture is {size} pixels wide at {HEIGHT} high, too narrow for {len(text)} characters"
        )
    how = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    line = np.clip(np.asarray(cv2.resize(grey, (size, HEIGHT), interpolation=how)), 0, 255)
    contrast = float(np.ptp(line))
    if contrast < BLANK:
        raise DataError(
            f"the picture is blank: its contrast is {contrast:.0f} of 255 levels, expected {BLANK:.0f}"
        )
    levels: NDArray[np.uint8] = np.floor(line + 0.5).astype(np.uint8)
    return levels
