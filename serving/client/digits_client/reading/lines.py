"""Finds lines of writing on a sheet, and cuts each out as the line reader takes it: 32 pixels high.

Ruled lines, boxes and graph paper are left out only while lines are looked for. What the reader sees is the
sheet as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading.ink import NARROW, WIDE, evened, inked
from digits_client.reading.sheet import Matrix, Picture, Sheet

HIGH, WIDEST, NARROWEST = (
    32,
    2048,
    8,
)  # pixels of a line's picture: its height, its width at most and at least
FINE = 2  # pixels, in either direction, of which a pixel of a crop is the mean
DIGIT = 0.62  # of a line's picture: the height of its digits
MARGIN = 0.45  # heights beside the writing
LEAST = 6  # pixels of a digit's height
PIECES = 1000  # of ink that are looked at, the largest first: each is compared with lines, some µs a pair
TALL = 0.45  # of a line's height: lower pieces are parts of digits or marks
SAME = 0.4  # share of the lower one's height that neighbours in a line have in common
BLANK = 24  # grey levels: a picture with less between its darkest and lightest has no writing
APART = 2.2  # heights between neighbours in a line, at most
GAP = 0.93  # heights without ink that end a field …
EVEN = 1.5  # times what is usual in the line: a field that is spaced out is still one
FRAMED, BESIDE = 0.3, 0.15  # heights: … and between printed boxes that are so near
STEEPEST = 12.0  # degrees by which writing on a sheet may fall or rise
RULE, SHORTEST, BROKEN = (
    0.08,
    40,
    5,
)  # of a sheet's side, pixels: a ruled line is longer; and may have such gaps
THIN = 16  # times as long as thick: no stroke of a digit is
CROSSED = 9  # pixels: strokes that cross a ruled line are joined again
WHOLE, LOW = 2.5, 120  # heights of writing, and pixels: a lower picture is asked as a whole too

Check = Callable[[], None]  # raises once the time is over


@dataclass(frozen=True, slots=True)
class Crop:
    """The picture of what may be a line of writing."""

    picture: Picture  # uint8 [32, w], dark strokes on light paper
    place: Matrix  # projects its pixels into the photo's
    level: Matrix  # … into the sheet's, turned so that its lines run level
    ink: Picture  # uint8 [32, w], 255 where strokes are, without ruled lines
    height: float  # of its digits, in its pixels
    whole: bool = False  # whether it is the whole sheet, as if that were one line


@dataclass(frozen=True, slots=True)
class _Page:
    """What crops are made of: a sheet, the photo that it is on, and the strokes on it, turned level."""

    sheet: Sheet
    photo: Picture
    mask: Picture
    turn: Matrix  # projects the mask's pixels into the sheet's
    light: bool  # whether strokes are lighter than the paper


@dataclass(slots=True)
class _Line:
    """Boxes [n, 4] of pieces of ink side by side: left, top, width, height."""

    boxes: NDArray[np.float64]
    slope: float = 0.0  # by how much it falls per pixel to the right

    @property
    def height(self) -> float:
        return float(np.median(self.boxes[:, 3]))

    def parted(self, frames: NDArray[np.float64], mask: Picture) -> list[_Line]:
        """Its parts between wide gaps. A point in a gap makes two narrow ones of it.

        frames: boxes [m, 4] of printed boxes. mask: in which the line was found.
        """
        x, y, w, h = self.boxes.T
        reach, middle, near = np.maximum.accumulate(x + w), (y + h / 2)[:, None], BESIDE * self.height
        level = (frames[:, 1] < middle) & (middle < frames[:, 1] + frames[:, 3])
        ends = level & (np.abs(reach[:, None] - frames[:, 0] - frames[:, 2]) < near)
        begins = level & (np.abs(x[:, None] - frames[:, 0]) < near)
        between = ends.any(axis=1)[:-1] & begins.any(axis=1)[1:]
        gaps = x[1:] - reach[:-1]
        usual = EVEN * float(np.median(gaps)) if len(gaps) > 2 else 0.0
        least = np.maximum(self.height * np.where(between, FRAMED, GAP), usual)
        rows = mask[int(y.min()) : int((y + h).max())]
        at = [
            i + 1
            for i in np.flatnonzero(gaps > least)
            if bare(rows[:, int(reach[i]) : int(x[i + 1])]) > least[i]
        ]
        return [_Line(boxes, self.slope) for boxes in np.split(self.boxes, at)]


def crops(sheet: Sheet, photo: Picture, check: Check, most: int) -> list[Crop]:
    """What may be lines of writing on a sheet, at most so many, those with most ink first.

    photo: uint8 [h, w], grey, in its full size.
    """
    strokes = inked(sheet.picture, NARROW if sheet.found else WIDE)
    check()
    printed, turn = _straight(_within(strokes.mask) if sheet.found else strokes.mask)
    mask = _without_rules(printed)
    pieces = _boxes(printed)
    check()
    found = _lines(pieces if mask is printed else _boxes(mask))
    page = _Page(sheet, photo, mask, turn, strokes.light)
    frames = _frames(pieces, found)
    found = [part for line in found for part in line.parted(frames, mask)]
    found.sort(key=lambda line: -float((line.boxes[:, 2] * line.boxes[:, 3]).sum()))
    made = []
    for line in found[:most]:
        check()
        made.append(_crop(line, page))
    height, width = sheet.picture.shape
    usual = found[0].height if found else float(height)
    low = height <= max(WHOLE * usual, LOW) and width <= height * WIDEST / HIGH
    if low and most and np.ptp(sheet.picture) >= BLANK:
        made = [_whole(page, usual), *made[: most - 1]]
    return made


def bare(ink: Picture) -> int:
    """The columns of the widest run without ink."""
    strokes = np.flatnonzero((ink > 96).any(axis=0))
    return int(np.diff(strokes, prepend=-1, append=ink.shape[1]).max()) - 1


def _within(mask: Picture) -> Picture:
    """The mask less the pieces that touch its edge: around a sheet, the desk shows."""
    _, labels = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    kept = np.full(int(labels.max()) + 1, 255, np.uint8)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        kept[edge] = 0
    kept[0] = 0
    return np.asarray(kept[labels], dtype=np.uint8)


def _straight(mask: Picture) -> tuple[Picture, Matrix]:
    """The mask turned so that writing and ruled lines run level, and the projection of its pixels back."""
    y, x = np.nonzero(cv2.resize(mask, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) > 96)
    tilt = 0.0
    if len(x) > 20:
        for step, reach in ((1.0, STEEPEST), (0.25, 0.75)):
            tried = tilt + np.arange(-reach, reach + step / 2, step)
            tilt = float(max(tried, key=lambda each: (_sharpness(x, y, each), -abs(each))))
    height, width = mask.shape
    turn = np.vstack([cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), tilt, 1.0), [0, 0, 1]])
    if abs(tilt) < 0.2:
        return mask, np.eye(3)
    level = cv2.warpAffine(mask, turn[:2], (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(level, dtype=np.uint8), np.linalg.inv(turn)


def _sharpness(x: NDArray[np.int64], y: NDArray[np.int64], tilt: float) -> float:
    """How unevenly rows that fall by so many degrees have ink."""
    rows = np.round(y - x * np.tan(np.radians(tilt))).astype(np.int64)
    counts = np.bincount(rows - rows.min()).astype(np.float64)
    return float((counts**2).sum())


def _without_rules(mask: Picture) -> Picture:
    """The mask less straight runs of ink longer than strokes; strokes that cross one are kept whole."""
    edge = cv2.countNonZero(cv2.subtract(mask, cv2.erode(mask, np.ones((3, 3), np.uint8))))
    thick = 2 * cv2.countNonZero(mask) / max(edge, 1)  # a usual stroke
    length, rest = round(max(SHORTEST, RULE * max(mask.shape), THIN * thick)), mask
    for across in (True, False):
        whole = cv2.dilate(mask, np.ones((3, BROKEN) if across else (BROKEN, 3), np.uint8))
        run = cv2.morphologyEx(
            whole, cv2.MORPH_OPEN, np.ones((1, length) if across else (length, 1), np.uint8)
        )
        if cv2.countNonZero(run):
            rest = cv2.subtract(rest, run)
    if rest is mask:
        return mask
    closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((CROSSED, CROSSED), np.uint8))
    return np.asarray(cv2.bitwise_and(closed, mask), dtype=np.uint8)


def _boxes(mask: Picture) -> NDArray[np.float64]:
    """Boxes [n, 4] of the connected pieces of ink that are more than specks, the largest first."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    boxes = stats[1:].astype(np.float64)
    boxes = boxes[(boxes[:, cv2.CC_STAT_AREA] >= 4) & (boxes[:, 3] >= 2)]
    order = np.argsort(-boxes[:, cv2.CC_STAT_AREA], kind="stable")
    return np.asarray(boxes[order][:PIECES], dtype=np.float64)


def _typical(boxes: NDArray[np.float64]) -> float:
    """The median height, where each piece counts as much as it has ink."""
    order = np.argsort(boxes[:, 3])
    ink = np.cumsum(boxes[order, cv2.CC_STAT_AREA])
    return float(boxes[order[np.searchsorted(ink, ink[-1] / 2)], 3])


def _lines(boxes: NDArray[np.float64]) -> list[_Line]:
    if not len(boxes):
        return []
    typical = max(float(LEAST), _typical(boxes))
    tall = boxes[boxes[:, 3] >= max(LEAST, TALL * typical)]
    chains: list[list[NDArray[np.float64]]] = []
    for box in tall[np.argsort(tall[:, 0] + tall[:, 2] / 2, kind="stable")]:
        near = [chain for chain in chains if _neighbours(chain[-1], box)]
        if near:
            max(near, key=lambda chain: _common(chain[-1], box)).append(box)
        else:
            chains.append([box])
    return [_Line(boxes := np.stack(chain)[:, :4], _slope(boxes)) for chain in chains]


def _frames(printed: NDArray[np.float64], lines: list[_Line]) -> NDArray[np.float64]:
    """Those pieces of ink [n, 4] that have others within them: printed boxes around digits."""
    inner = np.concatenate([np.zeros((0, 4)), *(line.boxes for line in lines)])[:PIECES, None]
    low, high = inner[..., :2], inner[..., :2] + inner[..., 2:]
    within = (printed[:, :2] < low).all(axis=2) & (printed[:, :2] + printed[:, 2:4] > high).all(axis=2)
    return printed[within.any(axis=0), :4]


def _common(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """The height that two boxes have in common, as a share of the lower one's."""
    both = min(left[1] + left[3], right[1] + right[3]) - max(left[1], right[1])
    return float(both / min(left[3], right[3]))


def _neighbours(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    gap = right[0] - left[0] - left[2]
    return _common(left, right) >= SAME and bool(gap <= APART * max(left[3], right[3]))


def _crop(line: _Line, page: _Page) -> Crop:
    x, y, w, h = line.boxes.T
    height = line.height
    slope = line.slope
    off = y + h / 2 - slope * (x + w / 2)
    tops, feet = off - h / 2, off + h / 2
    ordinary = (h > 0.7 * height) & (h < 1.5 * height)
    if ordinary.any():
        tops, feet = tops[ordinary], feet[ordinary]
    top, foot = float(np.percentile(tops, 10)), float(np.percentile(feet, 90))
    left, right = float(x.min()) - MARGIN * height, float((x + w).max()) + MARGIN * height
    scale = (foot - top) / (DIGIT * HIGH)  # the sheet's pixels per pixel of the crop
    width = int(np.clip(round((right - left) / scale), NARROWEST, WIDEST))
    start = (top + foot) / 2 - scale * HIGH / 2 + slope * left
    across = (right - left) / width
    own = np.array([[across, 0.0, left], [slope * across, scale, start], [0.0, 0.0, 1.0]])
    return _made(own, width, page, height / scale)


def _whole(page: _Page, usual: float) -> Crop:
    """The whole sheet as one line."""
    height, width = page.sheet.picture.shape
    wide = int(np.clip(4 * round(width * HIGH / height / 4), NARROWEST, WIDEST))
    across, down = width / wide, height / HIGH
    middle = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
    digits = float(np.clip(usual / down, HIGH / 2, HIGH))
    return _made(np.linalg.inv(page.turn) @ middle, wide, page, digits, whole=True)


def _slope(boxes: NDArray[np.float64]) -> float:
    """By how much a line still falls per pixel to the right: the median between its pieces."""
    x, y = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2
    height = float(np.median(boxes[:, 3]))
    if len(x) < 3 or np.ptp(x) < 3 * height:
        return 0.0
    i, j = np.triu_indices(min(len(x), 60), 1)
    far = np.abs(x[j] - x[i]) > height
    return float(np.clip(np.median((y[j] - y[i])[far] / (x[j] - x[i])[far]), -0.2, 0.2)) if far.any() else 0.0


def _made(own: Matrix, width: int, page: _Page, height: float, *, whole: bool = False) -> Crop:
    """own: projects the crop's pixels into those of the levelled mask."""
    place = page.sheet.place @ page.turn @ own
    ink = cv2.warpAffine(page.mask, own[:2], (width, HIGH), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    picture = evened(projected(page.photo, place, width), page.light)
    return Crop(picture, place, own, np.asarray(ink, dtype=np.uint8), height, whole)


def projected(photo: Picture, place: Matrix, width: int) -> Picture:
    """The pixels of a crop of 32 × width: drawn at twice its size, from a part made small."""
    ends = np.array([[[0.0, 0], [width, 0], [width, HIGH], [0, HIGH]]])
    corners = cv2.perspectiveTransform(ends, place)[0]
    size = np.array(photo.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 3, low + 1, size).astype(int)
    part = photo[low[1] : high[1], low[0] : high[0]]
    sides = np.linalg.norm(corners[[1, 2]] - corners[[0, 1]], axis=1) / [width, HIGH]
    shrink = FINE / max(float(sides.min()), 1e-6)
    if shrink < 1:
        small = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        part = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    fx, fy = np.array(part.shape[1::-1]) / (high - low)
    inner = np.array([[fx, 0, (fx - 1) / 2 - fx * low[0]], [0, fy, (fy - 1) / 2 - fy * low[1]], [0, 0, 1]])
    half = np.array([[1 / FINE, 0, (1 / FINE - 1) / 2], [0, 1 / FINE, (1 / FINE - 1) / 2], [0, 0, 1]])
    made = cv2.warpPerspective(
        part,
        inner @ place @ half,
        (FINE * width, FINE * HIGH),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(float(np.median(part)),),
    )
    return np.asarray(cv2.resize(made, (width, HIGH), interpolation=cv2.INTER_AREA), dtype=np.uint8)
