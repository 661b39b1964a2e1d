"""Sheets of paper on desks."""

import cv2
import numpy as np
import pytest

from digits_client.reading.sheet import Sheet, sheets
from tests.serving.client.reading._sheet import sheet

EYE = np.eye(3)
CORNERS = np.float32([[210, 140], [905, 120], [930, 640], [190, 610]])


def writing(width=700, height=500):
    return sheet("35718", size=(height, width))[0]


def laid(desk, corners=CORNERS, paper=None):
    """A sheet with writing on a desk, uint8 [h, w]."""
    paper = writing() if paper is None else paper
    height, width = paper.shape
    ends = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    place = cv2.getPerspectiveTransform(ends, corners.astype(np.float32))
    size = desk.shape[::-1]
    cover = cv2.warpPerspective(np.ones_like(paper), place, size)
    return np.where(cover > 0, cv2.warpPerspective(paper, place, size), desk).astype(np.uint8)


def flat(level):
    return np.full((800, 1100), level, np.uint8)


Y, X = np.mgrid[0:800, 0:1100]
ROUGH = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (800, 1100)), (0, 0), 3)
DESKS = {
    "dark": flat(40),
    "grey": flat(130),
    "lighter": flat(253),
    "squares": np.where((X // 90 + Y // 90) % 2, 60, 120).astype(np.uint8),
    "noise": np.clip(100 + 120 * ROUGH, 0, 255).astype(np.uint8),
}


def corners_of(found):
    height, width = found.picture.shape
    ends = np.array([[[0.0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]])
    return cv2.perspectiveTransform(ends, found.place)[0]


@pytest.mark.parametrize("desk", DESKS)
def test_a_sheet_is_found_on_any_desk_and_straightened(desk):
    found = sheets(laid(DESKS[desk]), EYE)[0]
    assert corners_of(found) == pytest.approx(CORNERS, abs=14)
    small = cv2.resize(writing(), found.picture.shape[::-1])
    assert np.abs(cv2.blur(found.picture, (31, 31)).astype(int) - cv2.blur(small, (31, 31))).mean() < 12


def test_a_dark_sheet_one_that_leaves_the_photo_and_one_with_a_corner_outside_are_found():
    dark = sheet("35718", size=(500, 700), paper=50, ink=220)[0]
    assert corners_of(sheets(laid(flat(200), paper=dark), EYE)[0]) == pytest.approx(CORNERS, abs=14)
    corners = corners_of(sheets(laid(flat(60), CORNERS - [300, 0]), EYE)[0])
    assert corners[[1, 2]] == pytest.approx((CORNERS - [300, 0])[[1, 2]], abs=14)
    assert corners[[0, 3], 0] == pytest.approx([0, 0], abs=14)
    turned = np.float32([[150, 60], [850, 180], [720, 900], [20, 770]])
    corners = corners_of(sheets(laid(flat(60), turned), EYE)[0])
    assert corners == pytest.approx(turned, abs=24)


def test_the_soft_edges_of_a_shadow_are_no_sheet_and_neither_is_the_desk_beside_one():
    photo = laid(flat(60))
    shade = np.ones((800, 1100))
    shade[300:, 250:600] = 0.55
    shaded = (photo * cv2.GaussianBlur(shade, (0, 0), 14)).astype(np.uint8)
    (only,) = sheets(shaded, EYE)
    assert corners_of(only) == pytest.approx(CORNERS, abs=14)


def test_two_sheets_are_both_found():
    left = np.float32([[60, 120], [480, 100], [500, 700], [40, 680]])
    photo = laid(laid(flat(70), left), left + np.array([560, 0]))
    found = sheets(photo, EYE)
    assert sorted(corners_of(each)[0, 0] for each in found[:2]) == pytest.approx([60, 620], abs=14)


def test_without_a_desk_the_photo_is_the_sheet():
    shaded = writing(1100, 800)
    shaded[:, 400:] = shaded[:, 400:] * 0.6
    large = sheet("35718", height=160, gap=60)[0]
    for photo in (writing(1100, 800), large, shaded, flat(200)[:9, :9]):
        (only,) = sheets(photo, EYE)
        assert only.picture is photo and (only.place == EYE).all()


def test_a_turned_sheet_knows_where_its_pixels_are():
    photo = np.arange(12, dtype=np.uint8).reshape(3, 4)
    turned = Sheet(photo, EYE)
    for _ in range(4):
        turned = turned.turned()
        for y, x in np.ndindex(turned.picture.shape):
            place = cv2.perspectiveTransform(np.array([[[float(x), float(y)]]]), turned.place)[0, 0]
            assert turned.picture[y, x] == photo[round(place[1]), round(place[0])]
    assert (turned.picture == photo).all()
