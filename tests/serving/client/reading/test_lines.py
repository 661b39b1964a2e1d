"""Lines of writing on sheets, cut out as the reader of lines takes them."""

from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from digits_client.reading.lines import crops
from digits_client.reading.sheet import Sheet
from tests.serving.client.reading._sheet import sheet


def found(photo, most=200):
    return crops(Sheet(photo, np.eye(3)), photo, lambda: None, most)


def page(*texts, width=1100):
    """A row for each text on paper that is long enough for it to be no strip."""
    rows = [sheet(text, size=(130, width), top=40, seed=i, gap=14)[0] for i, text in enumerate(texts)]
    return np.vstack([*rows, np.full((500, width), 225, np.uint8)])


def levels(crop):
    """The height of what is dark in a crop, as a share of it."""
    rows = np.flatnonzero((crop.picture < 120).any(axis=1))
    return (rows[-1] + 1 - rows[0]) / 32


def rules(photo):
    for y in range(96, photo.shape[0], 130):
        cv2.line(photo, (0, y), (photo.shape[1], y), 120, 2)


def graph(photo):
    for x in range(13, photo.shape[1], 37):
        cv2.line(photo, (x, 0), (x, photo.shape[0]), 140, 2)
    for y in range(9, photo.shape[0], 37):
        cv2.line(photo, (0, y), (photo.shape[1], y), 140, 2)


def boxes(photo):
    for top in (30, 160, 290):
        cv2.rectangle(photo, (40, top), (420, top + 68), 140, 2)


def shadow(photo):
    photo[:, 300:] = (photo[:, 300:] * 0.6).astype(np.uint8)


GROUNDS = {"plain": lambda _: None, "rules": rules, "graph": graph, "boxes": boxes, "shadow": shadow}


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_line_of_writing_is_one_crop_whatever_it_stands_on(ground):
    photo = page("35718", "4026", "12903")
    GROUNDS[ground](photo)
    made = sorted(found(photo), key=lambda crop: crop.place[1, 2])
    digits = [crop for crop in made if crop.picture.shape[1] > 60]
    assert len(digits) == 3
    for number, crop in enumerate(digits):
        assert crop.picture.shape[0] == 32 and crop.picture.dtype == np.uint8 and not crop.whole
        corners = cv2.perspectiveTransform(np.array([[[0.0, 0], [crop.picture.shape[1], 32]]]), crop.place)[0]
        assert corners[0, 1] <= 130 * number + 44 and corners[1, 1] >= 130 * number + 84
        assert corners[1, 1] - corners[0, 1] <= 100 and corners[0, 0] <= 62


def test_a_rough_table_beside_the_sheet_hides_no_line():
    photo = page("35718", "4026", "12903", width=700)
    table = np.random.default_rng(0).normal(120, 45, (len(photo), 300))
    rough = cv2.GaussianBlur(table, (0, 0), 1.5).clip(0, 255).astype(np.uint8)
    made = [crop for crop in found(np.hstack([photo, rough])) if crop.place[0, 2] < 600]
    assert sum(crop.picture.shape[1] > 60 for crop in made) == 3


def test_digits_have_half_to_four_fifths_of_the_height_and_a_margin():
    for crop in found(page("35718", "4026")):
        assert 0.5 <= levels(crop) <= 0.8
        dark = np.flatnonzero((crop.picture < 120).any(axis=0))
        assert dark[0] >= 2 and dark[-1] < crop.picture.shape[1] - 2


def test_a_tilted_page_is_levelled():
    photo = page("357180", "402612")
    for tilt in (-6, 4):
        turn = cv2.getRotationMatrix2D((550, 300), tilt, 1)
        made = found(cv2.warpAffine(photo, turn, photo.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
        assert len(made) == 2 and all(levels(crop) <= 0.85 for crop in made)


def test_columns_and_rows_of_printed_boxes_are_crops_of_their_own_however_near_they_are():
    photo = page("35718", "4026")
    made = found(np.hstack([photo[:, :500], photo[:, :500]]))
    assert len(made) == 4
    photo = page("35718", "4026")
    lines = found(photo)
    for left, right in ((40, 216), (240, 440)):  # around three digits, and the others
        cv2.rectangle(photo, (left, 24), (right, 104), 90, 2)
    assert len(lines) == 2 and len(found(photo)) == 3


def test_a_shadow_across_a_line_is_not_in_its_crop_and_strokes_are_dark():
    photo = page("35718", "4026")
    (bright, _), inverted = found(photo), 255 - photo
    photo[:, 150:] = (photo[:, 150:] * 0.55).astype(np.uint8)
    for made in (found(photo), found(inverted)):
        paper = made[0].picture[:, [1, -2]].astype(int)
        assert np.ptp(np.median(paper, axis=0)) < 12 and made[0].picture.min() < paper.min() - 60
        assert abs(made[0].picture.shape[1] - bright.picture.shape[1]) <= 4


def test_what_reaches_a_sheets_edge_is_no_writing_on_it():
    photo = page("35718")
    photo[30:95, :12] = 60
    assert len(found(photo)) == 2
    assert len(crops(Sheet(photo, np.eye(3), found=True), photo, lambda: None, 200)) == 1


def test_a_strip_is_asked_as_a_whole_too():
    photo, _ = sheet("35718", height=30, gap=8, left=8, top=10, size=(50, 200))
    first, *others = found(photo)
    assert first.whole and first.picture.shape == (32, 128) and others
    assert not any(crop.whole for crop in found(page("35718", "4026")))


def test_a_small_digit_of_a_large_photo_is_taken_from_the_photo_itself():
    photo = page("35718")
    large = cv2.resize(photo, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    small = Sheet(photo, np.diag([4.0, 4.0, 1.0]))
    (fine,) = crops(small, large, lambda: None, 200)
    (plain,) = found(photo)
    assert np.abs(fine.picture.astype(int) - plain.picture).mean() < 8


def test_there_are_at_most_as_many_as_may_be_those_with_most_ink_and_time_is_checked_between_the_steps():
    made = found(page("35718", "40", "129034"), most=2)
    assert len(made) == 2 and all(crop.picture.shape[1] > 80 for crop in made)
    over = Mock(side_effect=TimeoutError)
    photo = page("35718")
    with pytest.raises(TimeoutError):
        crops(Sheet(photo, np.eye(3)), photo, over, 200)
