"""Mixes lines that people brought into those that are composed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digits.line_model.lines import HEIGHT, STEP, Lines, RealLines, columns

Grey = NDArray[np.uint8]

SMALLEST = 0.6  # of its height, to which a line may be shrunk to fit; composed digits are as small
NEVER = np.iinfo(np.int32).max


class Mixture:
    """Lines to draw from, and how many of a step's are drawn."""

    def __init__(self, lines: RealLines, share: float, widest: int) -> None:
        """share: of a step's lines. widest: pixels of the widest step."""
        self.lines, self.share = lines, share
        needed = np.array([STEP * columns(lines.characters(row)) for row in range(len(lines))], np.int32)
        least = np.maximum(np.ceil(SMALLEST * lines.widths).astype(np.int32), needed)
        self._least = np.where(least <= widest, least, NEVER)  # pixels of a step that a line fits

    @property
    def too_wide(self) -> int:
        """How many of the lines fit no step."""
        return int((self._least == NEVER).sum())

    def mixed(self, seed: Sequence[int], composed: Lines) -> Lines:
        """The composed lines with a share of them replaced; equal seeds draw alike.

        A line is drawn once at most, so where few fit, few are replaced; and no draw shows it as it was.
        """
        width = composed.width
        fitting = np.flatnonzero(self._least <= width)
        n = min(round(self.share * len(composed)), len(fitting))
        if not n:
            return composed
        rng = np.random.Generator(np.random.SFC64(list(seed)))
        images, texts, lengths = composed.images.copy(), composed.texts.copy(), composed.lengths.copy()
        rows = rng.choice(fitting, n, replace=False)
        images[:n] = np.stack([placed(rng, self.lines.image(row), width) for row in rows])
        texts[:n], lengths[:n] = self.lines.texts[rows], self.lines.lengths[rows]
        return Lines(images, texts, lengths)


def placed(rng: np.random.Generator, line: Grey, width: int) -> Grey:
    """A line, uint8 [32, w], somewhere on uint8 [32, width], a little smaller, wider, paler … than it is.

    Around it its own edge goes on. It is shrunk to fit the width, and its ends are never cut off.
    """
    most = width / line.shape[1]
    tall = min(1.05, most) * rng.uniform(0.85, 1)
    wide = min(tall * rng.uniform(0.92, 1.08), most)
    room = HEIGHT * (1 - tall)
    down = room / 2 + rng.uniform(-1, 1) * (abs(room) / 2 + 1)
    right = rng.uniform(0, width - wide * line.shape[1])
    moved = cv2.warpAffine(
        line,
        np.array([[wide, 0, right], [0, tall, down]]),
        (width, HEIGHT),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    paper = np.median(moved)
    levels = paper + (moved - paper) * rng.uniform(0.75, 1.15) + rng.uniform(-12, 12)
    made: Grey = np.clip(levels + 0.5, 0, 255).astype(np.uint8)
    return made
