"""Photos → readings, with a model that knows the digits on them."""

import asyncio

import cv2
import numpy as np
import pytest

from digits_client.reading import Box, annotated, as_tree, read, read_later
from tests._pictures import cat, letter
from tests.serving.client.reading._sheet import ask, one, sheet


def texts(photo):
    return [field.text for field in read(photo, ask).fields]


@pytest.mark.parametrize(("height", "gap"), [(24, 10), (48, 20), (120, 60)])
def test_digits_of_any_size_are_read_from_left_to_right_in_their_places(height, gap):
    photo, boxes = sheet("35718", height, gap)
    made = read(photo, ask)
    assert made.text == "35718" and made.version == 7
    for digit, (x, y, w, h) in zip(made.digits, boxes, strict=True):
        got = digit.box
        assert abs(got.x - x) <= 4 and abs(got.y - y) <= 4 and abs(got.w - w) <= 8 and abs(got.h - h) <= 8
    assert (made.height, made.width) == photo.shape


def test_light_ink_on_a_dark_board_is_read_as_well():
    assert texts(sheet("2954", paper=40, ink=200)[0]) == ["2954"]


def test_uneven_light_and_noise_change_nothing():
    photo, _ = sheet("83120")
    light = np.linspace(1.0, 0.4, photo.shape[1])[None]
    noisy = photo * light + np.random.default_rng(1).normal(0, 4, photo.shape)
    assert texts(np.clip(noisy, 0, 255).astype(np.uint8)) == ["83120"]


def test_colours_are_read_as_grey():
    photo, _ = sheet("472")
    assert texts(np.dstack([photo, photo, 255 - (255 - photo) // 3])) == ["472"]


def test_ruled_lines_through_the_digits_are_taken_out():
    photo, _ = sheet("53816", size=(170, 600))
    for y in (40, 106, 150):
        cv2.line(photo, (0, y), (599, y), 110, 2)
    assert texts(photo) == ["53816"]


@pytest.mark.parametrize("tilt", [0, 4])
def test_boxes_around_the_digits_are_taken_out(tilt):
    photo, boxes = sheet("5381", gap=50, left=80, size=(170, 500))
    middles = [x + w / 2 for x, _, w, _ in boxes]
    edges = [middles[0] - 40, *(np.convolve(middles, [0.5, 0.5], "valid")), middles[-1] + 40]
    for edge in edges:
        cv2.line(photo, (round(edge), 45), (round(edge), 123), 100, 2)
    for y in (45, 123):
        cv2.line(photo, (round(edges[0]), y), (round(edges[-1]), y), 100, 2)
    turn = cv2.getRotationMatrix2D((250, 85), tilt, 1)
    photo = cv2.warpAffine(photo, turn, (500, 170), borderMode=cv2.BORDER_REPLICATE)
    assert texts(photo) == ["5381"]


def test_a_point_below_a_digit_is_a_speck_and_none_between_two():
    photo, boxes = sheet("475", gap=26)
    x, y, w, h = boxes[1]
    cv2.circle(photo, (x + w // 2, y + h + 9), 4, 40, -1)
    made = read(photo, ask)
    assert made.text == "475" and [each.reason for each in made.strangers] == ["too small for a digit"]
    assert texts(sheet("4.75")[0]) == ["4.75"]


def test_a_thin_one_between_strong_digits_is_read_though_there_are_ruled_lines():
    photo, boxes = sheet("88", gap=120, size=(180, 420))
    x = boxes[0][0] + boxes[0][2] + 60
    cv2.line(photo, (x, 62), (x, 106), 150, 2, cv2.LINE_AA)
    for y in (30, 150):
        cv2.line(photo, (0, y), (419, y), 110, 2)
    assert texts(photo) == ["818"]


def test_a_small_form_in_a_large_photo_loses_its_frame():
    photo, boxes = sheet("47", gap=40, size=(900, 1400), left=600, top=400)
    left, right = boxes[0][0] - 25, boxes[-1][0] + boxes[-1][2] + 25
    cv2.rectangle(photo, (left, 380), (right, 470), 90, 2)
    assert texts(photo) == ["47"]


def test_a_tilted_row_is_read():
    photo, _ = sheet("6204713", size=(300, 800), top=120)
    turn = cv2.getRotationMatrix2D((400, 150), 6, 1)
    assert texts(cv2.warpAffine(photo, turn, (800, 300), borderMode=cv2.BORDER_REPLICATE)) == ["6204713"]


def test_digits_that_touch_are_cut_apart():
    left, right = one(3, 1), one(5, 2)
    height = 60
    pair = [cv2.resize(each, (36, height), interpolation=cv2.INTER_CUBIC) for each in (left, right)]
    photo = np.full((180, 320), 230.0)
    for x, image in ((100, pair[0]), (133, pair[1])):
        region = photo[60 : 60 + height, x : x + 36]
        np.minimum(region, 230 - image * (190 / 255), out=region)
    made = read(photo.astype(np.uint8), ask)
    assert made.text == "35"
    assert all(digit.split for digit in made.digits)
    assert made.digits[0].box.x < made.digits[1].box.x
    assert made.fields[0].confidence <= made.digits[0].confidence * made.digits[1].confidence


def test_rows_come_from_top_to_bottom_and_wide_gaps_part_fields():
    upper, _ = sheet("12 907", size=(180, 700))
    lower, _ = sheet("456", size=(180, 700), seed=3)
    made = read(np.vstack([upper, lower]), ask)
    assert made.text == "12 907\n456"
    assert [len(line.fields) for line in made.lines] == [2, 1]


def test_a_point_on_the_base_line_makes_an_amount():
    (field,) = read(sheet("12.50")[0], ask).fields
    assert (field.kind, field.text) == ("amount", "12.50")
    assert [mark.text for mark in field.separators] == ["."]


def test_each_digit_has_the_nine_others_as_alternatives_likeliest_first():
    digit = read(sheet("7")[0], ask).digits[0]
    assert {other for other, _ in digit.alternatives} == set(range(10)) - {7}
    shares = [p for _, p in digit.alternatives]
    assert shares == sorted(shares, reverse=True)


def test_a_scribble_is_told_as_no_digit_and_its_field_is_not_accepted():
    photo, _ = sheet("14 ", size=(180, 420))
    points = np.random.default_rng(3).integers((190, 60), (240, 110), (40, 2))
    cv2.polylines(photo, [points.astype(np.int32)], True, 40, 4)
    made = read(photo, ask)
    assert made.strangers
    assert not any(field.accepted for field in made.fields if "?" in field.text or len(field.text) > 2)


@pytest.mark.parametrize("photo", [np.full((90, 120), 200, np.uint8), np.zeros((28, 28, 3), np.uint8)])
def test_an_empty_photo_has_no_digits_and_asks_nothing(photo):
    made = read(photo, lambda _: pytest.fail("the model was asked"))
    assert (made.lines, made.text, made.version) == ((), "", None)


@pytest.mark.parametrize("sign", ["K", "W", "M"])
def test_a_letter_is_not_accepted_as_a_digit(sign):
    assert not any(field.accepted for field in read(letter(sign), ask).fields)


def test_a_cat_is_no_number():
    assert not any(field.accepted for field in read(cat(), ask).fields)


def test_pure_noise_is_no_field_that_is_accepted():
    noise = np.random.default_rng(5).integers(0, 256, (300, 400), dtype=np.uint8)
    assert not any(field.accepted for field in read(noise, ask).fields)


def test_a_field_below_the_least_confidence_is_not_accepted():
    photo, _ = sheet("35718")
    assert not read(photo, ask, least=1.0).fields[0].accepted


def test_a_large_photo_is_looked_at_smaller_and_boxes_are_those_of_the_photo():
    photo, boxes = sheet("925", height=160, gap=90, size=(2000, 2600), left=900, top=800)
    made = read(photo, ask)
    assert made.text == "925"
    box = made.digits[1].box
    assert (box.x, box.h) == pytest.approx((boxes[1][0], boxes[1][3]), abs=16)


def test_an_asyncio_client_reads_the_same():
    photo, _ = sheet("35718")

    async def later(images):
        return ask(images)

    assert asyncio.run(read_later(photo, later)) == read(photo, ask)


def test_a_model_that_does_not_tell_accepts_nothing():
    import dataclasses

    def silent(images):
        answer = ask(images)
        return dataclasses.replace(
            answer, predictions=tuple(dataclasses.replace(p, accepted=None) for p in answer)
        )

    (field,) = read(sheet("35718")[0], silent).fields
    assert field.text == "35718" and not field.accepted


def test_the_annotated_picture_marks_digits_and_leaves_the_photo_alone():
    photo, _ = sheet("35718")
    before = photo.copy()
    made = read(photo, ask)
    drawn = annotated(photo, made)
    assert drawn.dtype == np.uint8 and drawn.ndim == 3 and max(drawn.shape) >= 900
    assert (np.ptp(drawn.astype(int), axis=2) > 80).sum() > 200  # the photo has no colours
    assert (photo == before).all()


def test_a_photo_that_is_large_enough_and_may_not_be_written_is_annotated_on_a_copy():
    photo, _ = sheet("472", size=(400, 1000))
    photo.flags.writeable = False
    assert annotated(photo, read(photo, ask)).shape == (400, 1000, 3)


def test_json_holds_all_that_was_read():
    made = read(sheet("35718")[0], ask)
    tree = as_tree(made)
    (field,) = tree["lines"][0]["fields"]
    assert (tree["text"], field["kind"], field["text"]) == ("35718", "postcode", "35718")
    assert Box(*field["digits"][0]["box"]) == made.digits[0].box
