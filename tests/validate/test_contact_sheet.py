"""Contact sheets."""

import numpy as np

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


def test_a_long_caption_stays_in_its_cell():
    images, _ = digits(2, 4)
    long = contact_sheet(images, ["word " * 80, ""], "t")
    short = contact_sheet(images, ["", ""], "t")
    assert long.shape == short.shape
    assert (long[:, 182:] == short[:, 182:]).all()


def test_signs_that_the_font_lacks_are_drawn_as_others():
    def drawn(caption):
        return contact_sheet(np.zeros((1, 28, 28), np.uint8), [caption], "t")

    np.testing.assert_array_equal(drawn("expected 0–9 …"), drawn("expected 0-9 ..."))
    np.testing.assert_array_equal(drawn("\u20ac"), drawn("?"))
