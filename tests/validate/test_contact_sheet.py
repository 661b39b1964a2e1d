"""Contact sheets."""

import numpy as np
import pytest

from digits.validate.contact_sheet import COLUMNS, TILE, contact_sheet
from tests._digits import digits


def test_the_images_stand_on_the_sheet_in_order():
    images, labels = digits(COLUMNS + 1, 4)
    sheet = contact_sheet(images, [f"label {label}" for label in labels], "digits")
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    big = np.kron(images[0], np.ones((4, 4), np.uint8))
    assert (sheet[44 : 44 + TILE, 10 : 10 + TILE, 0] == big).all()
    one_row = contact_sheet(images[:COLUMNS], [""] * COLUMNS, "digits")
    assert len(sheet) > len(one_row)


def test_captions_and_title_are_drawn():
    images, _ = digits(1, 4)
    assert (contact_sheet(images, ["a reason"], "t") != contact_sheet(images, [""], "t")).any()
    assert (contact_sheet(images, [""], "title") != contact_sheet(images, [""], "")).any()


def test_a_long_caption_stays_in_its_cell():
    images, _ = digits(2, 4)
    long = contact_sheet(images, ["word " * 80, ""], "t")
    short = contact_sheet(images, ["", ""], "t")
    assert long.shape == short.shape
    assert (long[:, 182:] == short[:, 182:]).all()


def test_no_image_gives_a_sheet_with_the_title_alone():
    sheet = contact_sheet(np.empty((0, 28, 28), np.uint8), [], "No unusable images")
    assert len(sheet) < 60
    assert (sheet < 100).any()


def test_each_image_needs_a_caption():
    with pytest.raises(ValueError, match="2 images and 1 captions"):
        contact_sheet(digits(2, 1)[0], ["one"], "t")


def test_signs_that_the_font_lacks_are_drawn_as_others():
    def drawn(caption):
        return contact_sheet(np.zeros((1, 28, 28), np.uint8), [caption], "t")

    np.testing.assert_array_equal(drawn("expected 0–9 …"), drawn("expected 0-9 ..."))
    np.testing.assert_array_equal(drawn("\u20ac"), drawn("?"))
