"""Finds the ink of a grey photo without its ruled lines, in rows of blobs."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from digits_client.reading import feet, rules
from digits_client.reading.blobs import Blob, Labels, Row, components, rows
from digits_client.reading.ink import inked

Picture = NDArray[np.uint8]

NARROW, FAINTER = 0.35, 0.7  # heights; share of the row's ink
SIDE = 1.3  # heights: a fainter stroke that is lower and hangs from no ruled line is a thin 1
NEAR = 9  # pixels
FRAME = 24  # pixels of a frame's shorter side
FULL, INSIDE = 0.4, 0.3  # share of its box that a frame's ink fills at most; of its height that a digit has


@dataclass(slots=True)
class Page:
    """strength: uint8 [h, w], how much ink; labels: int32 [h, w], the component at each pixel."""

    strength: Picture
    labels: Labels
    rows: list[Row]
    loose: list[Blob] = field(default_factory=list)  # small ones far from any row


def page(grey: Picture) -> Page:
    """Return what is written on a photo, uint8 [h, w]."""
    found = inked(grey)
    mask, tilt, ruled = _without_rules(found.mask, found.faint)
    labels, blobs = components(mask)
    if frames := [blob for blob in blobs if _is_frame(blob, blobs)]:
        for blob in frames:
            _unframe(mask, labels, blob)
        labels, blobs = components(mask)
    made, loose = rows(blobs)
    near = np.asarray(cv2.dilate(ruled, np.ones((NEAR, NEAR), np.uint8)), dtype=np.uint8)
    for row in made:
        row.lines_tilt = tilt
        for blob in row.blobs:
            feet.close(blob, labels, ruled, near)
        row.faint = _fainter(found.strength, labels, row, None if frames else near)
        row.blobs = [blob for blob in row.blobs if blob not in row.faint]
        row.small = [blob for blob in row.small if blob not in row.faint]
    return Page(found.strength, labels, made, loose)


def _fainter(strength: Picture, labels: Labels, row: Row, near: Picture | None) -> list[Blob]:
    """Narrow blobs with much less ink than their row: what is left of the sides of boxes.

    near: 255 around ruled lines, which a side hangs from; None: all may be sides.
    """

    def ink(blob: Blob, of: Picture) -> NDArray[np.uint8]:
        region = np.s_[blob.box.y : blob.box.y + blob.box.h, blob.box.x : blob.box.x + blob.box.w]
        return of[region][np.isin(labels[region], blob.parts)]

    usual, height = float(np.median([ink(blob, strength).mean() for blob in row.blobs])), row.height
    return [
        blob
        for blob in (*row.blobs, *row.small)
        if blob.box.w <= NARROW * height
        and ink(blob, strength).mean() < FAINTER * usual
        and (near is None or blob in row.small or ink(blob, near).any() or blob.box.h >= SIDE * height)
    ]


def _is_frame(blob: Blob, others: list[Blob]) -> bool:
    """Whether other writing lies within its box: then it is a box around digits, or a row of boxes."""
    box = blob.box
    if min(box.w, box.h) < FRAME or blob.area > FULL * box.w * box.h:
        return False
    return any(
        other is not blob
        and other.box.h >= INSIDE * box.h
        and box.x < other.box.x
        and other.box.x + other.box.w < box.x + box.w
        and box.y < other.box.y
        and other.box.y + other.box.h < box.y + box.h
        for other in others
    )


def _unframe(mask: Picture, labels: Labels, blob: Blob) -> None:
    """Take the straight sides of a frame out of the mask; what has grown together with it stays."""
    box = blob.box
    region = np.s_[box.y : box.y + box.h, box.x : box.x + box.w]
    own = np.where(labels[region] == blob.parts[0], mask[region], 0).astype(np.uint8)
    rest = rules.without(own, *rules.lines(own))
    mask[region][own > rest] = 0


def _without_rules(mask: Picture, faint: Picture) -> tuple[Picture, float, Picture]:
    """The mask without ruled lines, the degrees by which these fall to the right, and where they were."""
    tilt = rules.tilt(faint)
    height, width = mask.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), tilt, 1.0)
    straight = cv2.warpAffine(faint, turn, (width, height), flags=cv2.INTER_NEAREST) if tilt else faint
    ruled = rules.lines(straight)
    if not cv2.countNonZero(ruled[0]):
        return mask, 0.0, np.zeros_like(mask)
    if tilt:
        back = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
        ruled = tuple(cv2.warpAffine(each, turn, (width, height), flags=back) for each in ruled)
    return rules.without(mask, *ruled), tilt, np.asarray(cv2.bitwise_or(*ruled), dtype=np.uint8)
