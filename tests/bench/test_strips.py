"""The strips' own logic: what is drawn is what the truth says, and figures add up."""

import dataclasses

import numpy as np
import pytest

from bench.strips.__main__ import SIZE, photo
from bench.strips.generator import strip
from bench.strips.scoring import figures, judge
from digits_client.reading import Box, Digit, Field, Line, Reading
from tests._digits import digits


def made(seed, n=5, **options):
    images, labels = digits(40, seed=3)
    return strip(images[:n], labels[:n], np.random.default_rng(seed), **options)


def reading(truth, text=None):
    found = tuple(
        Digit(Box(*map(int, box)), int(sign), 0.99, True, ())
        for box, sign in zip(truth.boxes, text or truth.text, strict=True)
    )
    field = Field("number", text or truth.text, 0.95, True, found[0].box, found)
    return Reading(1, 1, (Line(found[0].box, (field,)),), (), 1)


@pytest.mark.parametrize("ruling", ["plain", "lines", "boxes"])
def test_boxes_lie_in_the_picture_in_order_and_hold_the_ink(ruling):
    one = made(4, ruling=ruling)
    height, width = one.picture.shape[:2]
    x, y, w, h = one.boxes.T
    assert (np.diff(x + w / 2) > 0).all()
    assert (x >= 0).all() and (y >= 0).all() and (x + w <= width).all() and (y + h <= height).all()
    assert one.ruling == ruling and len(one.text) == 5


def test_the_same_seed_gives_the_same_strip_and_another_another():
    assert (made(7).picture == made(7).picture).all()
    assert made(7).picture.shape != made(8).picture.shape


def test_digits_touch_when_asked_and_never_in_boxes():
    assert made(1, touching=1.0, ruling="plain").touching.all()
    assert not made(1, touching=0.0, ruling="plain").touching.any()
    assert not made(1, touching=1.0, ruling="boxes").touching.any()


def test_figures_count_what_was_read_right_in_its_place():
    truth = made(2, touching=0.0, ruling="plain")
    wrong = "".join(str((int(sign) + (i == 0)) % 10) for i, sign in enumerate(truth.text))
    elsewhere = dataclasses.replace(truth, boxes=truth.boxes + np.array([0, 500, 0, 0]))
    all_of_them = [
        judge(truth, reading(truth)),
        judge(truth, reading(truth, wrong)),
        judge(elsewhere, reading(truth)),
    ]
    told = figures(all_of_them)
    assert told["separated"]["n"] == 15 and told["separated"]["right"] == 5 + 4 + 0
    assert told["whole"]["right"] == 2 and told["touching"] == {"n": 0}
    assert told["accepted"]["share"] == 1.0


def test_a_photo_of_ten_digits_has_two_megapixels():
    images, labels = digits(40, seed=3)
    from digits_client.reading import decoded

    data = photo(images[:10], labels[:10], np.random.default_rng(1))
    assert decoded(data).shape == (*SIZE, 3)
