"""Cuts through digits that touch, and all pieces between two of the cuts.

A cut is a path from top to bottom through as little ink as it can, near each of many places
(over-segmentation; to choose by recognition is Fujisawa, Nakano & Kurino 1992, Proc. IEEE 80).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading.crops import INKED

Picture = NDArray[np.uint8]
Path = NDArray[np.int64]  # [h], the column of the cut in each row

STEP = 0.07  # heights between two places where a cut is tried
# Heights that a path may go to each side, and what a step aside costs, of full ink: winding, then straight.
MANNERS = ((0.22, 0.08), (0.1, 0.3))
SAME = 0.045  # heights between two paths, on average: nearer ones are the same
NARROWEST, WIDEST = 0.1, 1.25  # heights of a piece's width
MOST_CUTS = 7  # of each manner, the cheapest
HOLE = 0.002  # of the squared height: less is a gap in a rough stroke
SLIVER = 0.06  # share of the ink: a cut that leaves less on one side is none


@dataclass(frozen=True, slots=True)
class Piece:
    """What lies between two of the cuts, 0 being the left edge. Sizes are in heights of the patch."""

    first: int
    last: int
    ink: Picture
    width: float
    height: float
    length: float  # of its strokes, or so: half of their outline
    crossed: float  # ink that its two cuts run through
    stray: float  # share of its ink that hangs together with none of the rest
    runs: float  # strokes that a row of it crosses, on average over the rows with ink
    holes: int  # that its strokes enclose


def pieces(patch: Picture) -> list[Piece]:
    """All that could be a digit of its own, the whole patch last."""
    height, width = patch.shape
    found = _paths(patch)
    edges = [np.zeros(height, np.int64), *found, np.full(height, width, np.int64)]
    crossed = [0.0, *(_ink_on(patch, path) for path in found), 0.0]
    columns = np.arange(width)
    made = []
    for first, last in itertools.combinations(range(len(edges)), 2):
        if (first, last) != (0, len(edges) - 1):
            inside = (columns >= edges[first][:, None]) & (columns < edges[last][:, None])
            piece = _piece(first, last, patch * inside, crossed[first] + crossed[last])
            if NARROWEST <= piece.width <= WIDEST:
                made.append(piece)
    return [*made, _piece(0, len(edges) - 1, patch, 0.0)]


def whole(patch: Picture) -> Piece:
    """The patch as one piece."""
    return _piece(0, 1, patch, 0.0)


def _piece(first: int, last: int, ink: Picture, crossed: float) -> Piece:
    solid = cv2.threshold(ink, INKED, 1, cv2.THRESH_BINARY)[1]
    _, _, w, h = cv2.boundingRect(solid)
    count, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    stray = 1 - float(areas.max()) / float(areas.sum()) if len(areas) else 0.0
    edges = np.count_nonzero(solid[1:] != solid[:-1]) + np.count_nonzero(solid[:, 1:] != solid[:, :-1])
    size = len(ink)
    length = edges / 2 / size
    return Piece(first, last, ink, w / size, h / size, length, crossed, stray, _runs(solid), _holes(solid))


def _runs(solid: Picture) -> float:
    begun = np.diff(solid.astype(np.int8), axis=1, prepend=0) > 0
    counts = begun.sum(axis=1)
    return float(counts[counts > 0].mean()) if counts.any() else 0.0


def _holes(solid: Picture) -> int:
    around = cv2.copyMakeBorder(1 - solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, _, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    return int((stats[1:count, cv2.CC_STAT_AREA] >= HOLE * len(solid) ** 2).sum()) - 1


def _ink_on(patch: Picture, path: Path) -> float:
    inside = path < patch.shape[1]
    return float(patch[np.flatnonzero(inside), path[inside]].sum()) / 255 / len(patch)


def _paths(patch: Picture) -> list[Path]:
    """Cuts from left to right, of each manner at most `MOST_CUTS`."""
    height, width = patch.shape
    ink = np.asarray(patch / np.float32(255), dtype=np.float32)
    left = np.cumsum(ink.sum(axis=0)) / max(float(ink.sum()), 1e-6)
    taken: list[Path] = []
    for sway, aside in MANNERS:
        paths, costs = _cheapest(ink, max(1, round(sway * height)), aside)
        held = left[np.clip(paths.mean(axis=1).astype(int), 0, width - 1)]
        worth = (held > SLIVER) & (held < 1 - SLIVER)
        taken = _different(paths[worth], costs[worth], height, taken)
    return sorted(taken, key=lambda path: float(path.mean()))


def _cheapest(
    ink: NDArray[np.float32], sway: int, aside: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The path through least ink near each place, at most `sway` pixels aside, and what it costs."""
    height, width = ink.shape
    step = max(1, round(STEP * height))
    places = np.arange(step, width - step + 1, step)
    around = np.pad(ink, ((0, 0), (sway, sway)))
    bands = around[:, places[:, None] + np.arange(2 * sway + 1)]  # [h, places, columns]
    total, came = bands[0], np.zeros(bands.shape, np.int8)
    for y in range(1, height):
        beside = np.pad(total + aside, ((0, 0), (1, 1)), constant_values=np.inf)
        three = np.stack([beside[:, :-2], total, beside[:, 2:]])
        came[y] = three.argmin(axis=0) - 1
        total = three.min(axis=0) + bands[y]
    at = total.argmin(axis=1)
    paths = np.empty((len(places), height), np.int64)
    each = np.arange(len(places))
    for y in range(height - 1, -1, -1):
        paths[:, y] = places + at - sway
        at = at + came[y, each, at]
    return paths, total.min(axis=1)


def _different(
    paths: NDArray[np.int64], costs: NDArray[np.float32], height: int, before: list[Path]
) -> list[Path]:
    """Those before and the cheapest that are not nearly the same as another."""
    taken = list(before)
    for i in np.argsort(costs, kind="stable"):
        if len(taken) - len(before) == MOST_CUTS:
            break
        if all(np.abs(paths[i] - other).mean() > SAME * height for other in taken):
            taken.append(paths[i])
    return taken
