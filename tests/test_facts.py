"""What facts say of an image whose ink is known."""

import numpy as np
import pytest

from digits.facts import FACTS, facts


def bar(column, wide, ground=0, ink=255, side=(28, 28)):
    image = np.full(side, ground, np.uint8)
    image[4:24, column : column + wide] = ink
    return image[None]


def test_a_bar_has_its_place_its_stroke_and_its_grey_levels():
    found = {name: values[0] for name, values in facts(bar(10, 4)).items()}
    assert tuple(found) == FACTS
    assert (found["left"], found["top"], found["width"], found["height"]) == (10, 4, 4, 20)
    assert (found["centre_x"], found["centre_y"]) == (11.5, 13.5)
    assert (found["low"], found["high"], found["contrast"], found["levels"]) == (0, 255, 255, 2)
    assert found["ink"] == pytest.approx(80 / 784) and found["mean"] == pytest.approx(255 * 80 / 784)
    assert found["stroke"] == pytest.approx(2 * 80 / 48) and found["polarity"] > 0


def test_polarity_and_contrast_tell_dark_ink_on_paper_and_a_blank_image_has_no_box():
    plain, lifted = facts(bar(10, 4, ink=200)), facts(bar(10, 4, ground=30, ink=230))
    for name in ("left", "top", "width", "height", "centre_x", "centre_y", "contrast", "ink"):
        assert lifted[name][0] == plain[name][0], "whatever the ground"
    dark = facts(bar(10, 4, ground=200, ink=150))
    assert dark["polarity"][0] < 0 and dark["contrast"][0] == 50
    blank = facts(np.zeros((1, 28, 28), np.uint8))
    assert [blank[name][0] for name in ("width", "height", "ink", "stroke", "contrast")] == [0, 0, 0, 0, 0]
    assert all(np.isfinite(values).all() for values in blank.values())


def test_images_of_any_size_and_number_have_facts():
    assert facts(bar(40, 4, side=(32, 112)))["left"][0] == 40
    assert {len(values) for values in facts(np.zeros((0, 28, 28), np.uint8)).values()} == {0}
    assert facts(np.full((1, 1, 1), 7, np.uint8))["stroke"][0] == 0
