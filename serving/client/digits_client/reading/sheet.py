"""Finds sheets of paper on a photo of a desk, and straightens them.

A sheet is a quadrangle whose sides are steps of light. Its sides are looked for among straight edges of a
small picture in which writing and ruled lines are blurred away; the photo's edges may be sides too. Where
there is none, the photo is the sheet.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]  # 3 × 3, of a projection between pixels
Floats = NDArray[np.float64]

SMALL = 320  # pixels of the longer side on which sheets are looked for
BLUR = 9  # pixels of the median that takes writing away
SHORTEST = 0.12  # of the longer side: a straight edge
EDGES = 10  # straight edges of either direction that are tried, the longest first
ALIKE = 8.0  # pixels between edges that count as one
POINTS, OFF = 32, 6  # places on a side where the step is looked at, and pixels to either side of it
NEAR, SHARP = 2.5, 0.65  # so near is that share of a step: the edge of a shadow is softer
OUTSIDE = 0.35  # of the photo's sides: so far beyond them may a corner lie
STEP = 7.0  # grey levels of a step at least
SIDE, SIDES = 0.5, 0.72  # share of a side that is a step, and of all sides that are within the photo
LEAST = 0.06  # of the photo: a smaller quadrangle is no sheet
MOST = 4  # sheets
FREE, AWAY = 0.9, 0.85  # shares of a sheet and of its edge that no other one covers, and none is near
WRITING = 13  # pixels: wider than strokes are, and than boxes around digits
BUSIEST = 0.06  # share of a sheet's inside that is an edge
TRIED, BUSY = 40, 2.5  # quadrangles whose inside is looked at, and how much a share of edges there counts


@dataclass(frozen=True, slots=True)
class Sheet:
    """A straightened sheet, grey, and where it lies: `place` projects its pixels into the photo's."""

    picture: Picture
    place: Matrix
    found: bool = False  # whether its sides were; otherwise it is the photo

    def turned(self) -> Sheet:
        """The sheet turned by a quarter to the left."""
        width = self.picture.shape[1]
        back = np.array([[0.0, -1.0, width - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        return Sheet(np.ascontiguousarray(np.rot90(self.picture)), self.place @ back, self.found)


def sheets(grey: Picture, place: Matrix) -> list[Sheet]:
    """The sheets on a picture, uint8 [h, w], from the surest on.

    place: projects the picture's pixels into the photo's.
    """
    height, width = grey.shape
    scale = SMALL / max(height, width)
    found = []
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.medianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), BLUR)
        found = [corners / scale for corners in _quadrangles(np.asarray(small, dtype=np.uint8))]
    return [_straightened(grey, corners, place) for corners in found] or [Sheet(grey, place)]


def _straightened(grey: Picture, corners: Floats, place: Matrix) -> Sheet:
    top, right, bottom, left = (float(np.linalg.norm(corners[i] - corners[(i + 1) % 4])) for i in range(4))
    width, height = max(8, round((top + bottom) / 2)), max(8, round((left + right) / 2))
    ends = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    project = cv2.getPerspectiveTransform(ends, corners.astype(np.float32))
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    flat = cv2.warpPerspective(grey, project, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return Sheet(np.asarray(flat, dtype=np.uint8), place @ project, found=True)


def _quadrangles(small: Picture) -> list[Floats]:
    """Corners [4, 2] of sheets that don't overlap, clockwise from the upper left."""
    height, width = small.shape
    outline = np.asarray(cv2.Canny(small, 12, 30), dtype=np.uint8)
    across, down = _edges(outline)
    across += [np.array([0.0, 0, width - 1, 0]), np.array([0.0, height - 1, width - 1, height - 1])]
    down += [np.array([0.0, 0, 0, height - 1]), np.array([width - 1.0, 0, width - 1, height - 1])]
    rows, columns = _pairs(across, 1), _pairs(down, 0)
    made = [_crossings(rows[:, i], columns[:, k]) for i, k in ((0, 0), (0, 1), (1, 1), (1, 0))]
    return _chosen(np.stack(made, axis=2).reshape(-1, 4, 2), small)


def _edges(outline: Picture) -> tuple[list[Floats], list[Floats]]:
    """The longest straight edges that run across, and those that run down: x, y of both ends."""
    found = cv2.HoughLinesP(
        outline, 1, np.pi / 180, 24, minLineLength=SHORTEST * max(outline.shape), maxLineGap=8
    )
    kinds: tuple[list[Floats], list[Floats]] = ([], [])
    if found is None:
        return kinds
    segments = found.reshape(-1, 4).astype(np.float64)
    lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    for i in np.argsort(-lengths, kind="stable"):
        segment = segments[i]
        steep = abs(segment[3] - segment[1]) > abs(segment[2] - segment[0])
        own = kinds[int(steep)]
        if len(own) < EDGES and all(_apart(segment, other) > ALIKE for other in own):
            own.append(segment)
    return kinds


def _apart(a: Floats, b: Floats) -> float:
    """Pixels between the ends of one edge and the straight line through the other."""
    across, down = b[2] - b[0], b[3] - b[1]
    off = ((a[0::2] - b[0]) * down - (a[1::2] - b[1]) * across) / max(float(np.hypot(across, down)), 1e-9)
    return float(np.abs(off).max())


def _pairs(edges: list[Floats], axis: int) -> Floats:
    """All pairs of edges [n, 2, 4], the one with the lower x (axis 0) or y (1) first."""
    ordered = sorted(edges, key=lambda edge: float(edge[axis] + edge[axis + 2]))
    return np.array(list(itertools.combinations(ordered, 2)))


def _crossings(a: Floats, b: Floats) -> Floats:
    """Where the straight lines through edges [n, 4] and [m, 4] meet [n, m, 2]; far away for parallels."""
    a, b = a[:, None], b[None]
    ax, ay, bx, by = (
        a[..., 2] - a[..., 0],
        a[..., 3] - a[..., 1],
        b[..., 2] - b[..., 0],
        b[..., 3] - b[..., 1],
    )
    turn = ax * by - ay * bx
    turn = np.where(np.abs(turn) < 1e-6, 1e-6, turn)
    along = ((b[..., 0] - a[..., 0]) * by - (b[..., 1] - a[..., 1]) * bx) / turn
    return np.stack([a[..., 0] + along * ax, a[..., 1] + along * ay], axis=-1)


def _chosen(corners: Floats, small: Picture) -> list[Floats]:
    """Of quadrangles [n, 4, 2] those that are sheets, the best first."""
    height, width = small.shape
    size = np.array([width - 1.0, height - 1.0])
    following = np.roll(corners, -1, axis=1)
    areas = 0.5 * (corners[..., 0] * following[..., 1] - following[..., 0] * corners[..., 1]).sum(axis=1)
    sides = np.linalg.norm(following - corners, axis=2)
    slack = OUTSIDE * size
    fits = (corners >= -slack).all(axis=(1, 2)) & (corners <= size + slack).all(axis=(1, 2))
    fits &= (areas >= LEAST * width * height) & (sides.min(axis=1) >= SHORTEST * max(size))
    fits &= areas >= 0.7 * (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3]) / 4
    corners, following, areas = corners[fits], following[fits], areas[fits]
    if not len(corners):
        return []
    kernel = np.ones((WRITING, WRITING), np.uint8)
    bare = [cv2.morphologyEx(small, how, kernel) for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN)]
    shares, inner = _steps(corners, following, np.stack(bare))
    count = inner.sum(axis=1)
    total = np.where(count > 0, (shares * inner).sum(axis=1) / np.maximum(count, 1), 0.0)
    weakest = np.where(inner, shares, 1.0).min(axis=1)
    good = (count > 1) & (weakest >= SIDE) & (total >= SIDES)
    score = np.where(good, total + 0.3 * np.sqrt(areas / (width * height)) + 0.15 * count, -np.inf)
    outlines = [cv2.Canny(each, 12, 30) for each in bare]
    tried = []
    for i in np.argsort(-score, kind="stable")[: min(TRIED, int(good.sum()))]:
        own = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(own, corners[i].round().astype(np.int32), 1)
        inside = cv2.erode(own, np.ones((2 * OFF + 1, 2 * OFF + 1), np.uint8), borderValue=0)
        busy = min(cv2.mean(each, inside)[0] / 255 for each in outlines)
        tried.append((float(score[i]) - BUSY * busy, busy, corners[i], own))
    taken: list[Floats] = []
    free, away = np.ones((2, height, width), np.uint8)
    beside = np.ones((2 * OFF + 1, 2 * OFF + 1), np.uint8)
    for _, busy, each, own in sorted(tried, key=lambda one: -one[0]):
        edge = cv2.subtract(own, cv2.erode(own, np.ones((3, 3), np.uint8)))
        if len(taken) == MOST or busy >= BUSIEST:
            continue
        if _share(own, free) > FREE and _share(edge, away) > AWAY:
            taken.append(each)
            free &= 1 - own
            away &= 1 - cv2.dilate(own, beside)
    return taken


def _share(a: Picture, b: Picture) -> float:
    """The share of the pixels of a that are also of b."""
    return cv2.countNonZero(a & b) / max(1, cv2.countNonZero(a))


def _steps(corners: Floats, following: Floats, bare: Picture) -> tuple[Floats, NDArray[np.bool_]]:
    """Of each side of each quadrangle the share that is a step of light, and whether it lies in the photo.

    bare: uint8 [2, h, w], the picture without dark ink, and without light ink: a stroke is a step in one.
    """
    height, width = bare.shape[1:]
    along = (np.arange(POINTS) + 0.5) / POINTS
    at = corners[:, :, None] + (following - corners)[:, :, None] * along[:, None]  # [n, 4, points, 2]
    direction = following - corners
    normal = np.stack([direction[..., 1], -direction[..., 0]], axis=-1)
    normal = (normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9))[:, :, None]

    def level(places: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        x, y = places[..., 0].round().astype(int), places[..., 1].round().astype(int)
        within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return bare[:, y.clip(0, height - 1), x.clip(0, width - 1)].astype(np.float64), within

    (out, out_in), (in_, in_in) = level(at + OFF * normal), level(at - OFF * normal)
    near = level(at + NEAR * normal)[0] - level(at - NEAR * normal)[0]
    seen = out_in & in_in
    far = out - in_
    way = np.sign(far)  # the same along a side, unless that is one of a pattern
    step = ((np.abs(far) >= STEP) & (near * way >= SHARP * np.abs(far))).all(axis=0) & seen
    counted = seen.sum(axis=2)
    shares = np.abs((step * way[0]).sum(axis=2)) / np.maximum(counted, 1)
    return shares, counted >= POINTS / 4
