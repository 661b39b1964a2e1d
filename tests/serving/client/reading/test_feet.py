"""Pieces that a ruled line took the foot of."""

import cv2
import numpy as np
import pytest

from digits_client.reading import feet
from digits_client.reading.blobs import components


def written(draw):
    """What stands on a line at y = 60: its blob, the labels, the line, and what is near it."""
    mask = np.zeros((90, 120), np.uint8)
    draw(mask)
    mask[58:] = 0  # as far as the line was taken out
    ruled = np.zeros_like(mask)
    ruled[59:62] = 255
    labels, (blob,) = components(mask)
    return blob, labels, ruled, cv2.dilate(ruled, np.ones((9, 9), np.uint8))


def zero(mask):
    cv2.ellipse(mask, (50, 40), (12, 21), 0, 0, 360, 255, 3)


def test_an_open_zero_is_closed_with_the_lines_ink():
    blob, labels, ruled, near = written(zero)
    before, box = blob.area, blob.box
    feet.close(blob, labels, ruled, near)
    assert blob.area > before and blob.box.y + blob.box.h == 62
    assert (blob.box.x, blob.box.w) == (box.x, box.w)
    own = (labels == blob.parts[0]).astype(np.uint8)
    inside = cv2.dilate(own, np.ones((3, 3), np.uint8))  # as a patch is taken, with its faint edges
    holes = cv2.connectedComponents(1 - inside, connectivity=4)[0] - 2
    assert holes == 1


@pytest.mark.parametrize("name", ["one leg", "wide apart", "ends above the line"])
def test_what_is_not_open_at_the_line_stays_as_it_is(name):
    shapes = {
        "one leg": lambda mask: cv2.line(mask, (50, 10), (50, 70), 255, 3),
        "wide apart": lambda mask: cv2.polylines(
            mask, [np.array([[10, 70], [10, 45], [100, 45], [100, 70]])], False, 255, 3
        ),
        "ends above the line": lambda mask: cv2.ellipse(mask, (50, 30), (12, 18), 0, 180, 360, 255, 3),
    }
    blob, labels, ruled, near = written(shapes[name])
    area, box, before = blob.area, blob.box, labels.copy()
    feet.close(blob, labels, ruled, near)
    assert (blob.area, blob.box) == (area, box) and (labels == before).all()
