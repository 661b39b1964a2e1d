"""Repairs digits that stand on a ruled line: a 0 loses its foot with the line, and is open below.

Where a piece ends at a line in two places, the line's ink between them is given back to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits_client.reading.blobs import Blob, Labels
from digits_client.reading.results import Box, around

Picture = NDArray[np.uint8]

FOOT = 0.25  # of a piece's height: its ends are looked for in the lowest part
OPEN = 0.12, 0.9  # of its height: the opening's width, at least and at most


def close(blob: Blob, labels: Labels, ruled: Picture, near: Picture) -> None:
    """Number the line's ink below an open piece as the piece's, in place.

    ruled: uint8 [h, w], 255 on lines; near: 255 around them.
    """
    box = blob.box
    top = box.y + round((1 - FOOT) * box.h)
    region = np.s_[top : box.y + box.h, box.x : box.x + box.w]
    at = np.isin(labels[region], blob.parts) & (near[region] > 0)
    columns = np.flatnonzero(at.any(axis=0))
    if not len(columns):
        return
    widest = int(np.argmax(np.diff(columns, prepend=columns[0])))
    opening = columns[widest] - columns[widest - 1] - 1 if widest else 0
    if not OPEN[0] * box.h <= opening <= OPEN[1] * box.h:
        return
    left, right = box.x + int(columns[widest - 1]), box.x + int(columns[widest])
    below = np.s_[top : box.y + round((1 + FOOT) * box.h), left : right + 1]
    free = (ruled[below] > 0) & (labels[below] == 0)
    if not free.any():
        return
    labels[below][free] = blob.parts[0]
    rows = np.flatnonzero(free.any(axis=1))
    blob.area += int(free.sum())
    blob.box = around([box, Box(left, top + int(rows[0]), right + 1 - left, int(rows[-1] - rows[0]) + 1)])
