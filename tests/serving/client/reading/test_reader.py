"""Photos are read with a reader of lines that knows the digits on them."""

import asyncio
import dataclasses

import cv2
import numpy as np
import pytest

from digits_client import BadRequest
from digits_client.reading import Box, annotated, as_tree, read, read_later
from digits_client.results import Answer, LinePrediction
from tests.serving.client.reading._sheet import ask, sheet


def texts(photo, **given):
    return [field.text for field in read(photo, ask, **given).fields]


@pytest.mark.parametrize(("height", "gap"), [(24, 10), (48, 20), (120, 60)])
def test_digits_of_any_size_are_read_from_left_to_right_in_their_places(height, gap):
    photo, boxes = sheet("35718", height, gap)
    made = read(photo, ask)
    assert made.text == "35718" and made.version == 7
    for digit, (x, y, w, h) in zip(made.digits, boxes, strict=True):
        got, near = digit.box, 4 + 0.06 * height
        assert abs(got.x - x) <= near and abs(got.y - y) <= near
        assert abs(got.w - w) <= 2 * near and abs(got.h - h) <= 2 * near
    assert (made.height, made.width) == photo.shape


def test_a_dark_board_colours_uneven_light_and_noise_change_nothing():
    assert texts(sheet("35718", paper=40, ink=200)[0]) == ["35718"]
    photo, _ = sheet("83120")
    assert texts(np.dstack([photo, photo, 255 - (255 - photo) // 3])) == ["83120"]
    light = np.linspace(1.0, 0.4, photo.shape[1])[None]
    noisy = photo * light + np.random.default_rng(1).normal(0, 4, photo.shape)
    assert texts(np.clip(noisy, 0, 255).astype(np.uint8)) == ["83120"]


def test_rows_come_from_top_to_bottom_and_wide_gaps_part_fields():
    upper, _ = sheet("12 907", size=(180, 700))
    lower, _ = sheet("456", size=(180, 700), seed=3)
    asked = []
    made = read(np.vstack([upper, lower]), lambda lines: asked.append(len(lines)) or ask(lines))
    assert len(asked) == 1 and asked[0] >= 2, "all lines of a photo are one question"
    assert made.text == "12 907\n456"
    assert [len(line.fields) for line in made.lines] == [2, 1]


def test_a_point_on_the_base_line_makes_an_amount():
    (field,) = read(sheet("12.50")[0], ask).fields
    assert (field.kind, field.text) == ("amount", "12.50")
    assert [mark.text for mark in field.separators] == ["."]


def on_a_desk(paper, turn=0.0):
    """A sheet in perspective on a desk with a weave, uint8 [1200, 1600], and the projection."""
    y, x = np.mgrid[0:1200, 0:1600]
    desk = 90 + 12 * np.sin(x / 7) * np.sin(y / 9) + np.random.default_rng(2).normal(0, 3, x.shape)
    height, width = paper.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    angle = np.radians(turn)
    spin = np.float32([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    to = (corners - [width / 2, height / 2]) @ spin + [820, 590] + [[20, 0], [-5, 24], [0, 0], [12, -10]]
    place = cv2.getPerspectiveTransform(corners, to.astype(np.float32))
    cover = cv2.warpPerspective(np.ones_like(paper), place, (1600, 1200))
    seen = cv2.warpPerspective(paper, place, (1600, 1200), flags=cv2.INTER_AREA)
    return np.where(cover > 0, seen, desk).astype(np.uint8), place


def page():
    rows = [sheet(text, size=(180, 900), gap=16, seed=seed)[0] for seed, text in ((0, "35718"), (3, "456"))]
    return np.vstack([*rows, sheet("12 907", size=(180, 900))[0]])


@pytest.mark.parametrize("turn", [0, 7])
def test_a_sheet_on_a_desk_is_read_in_perspective_and_boxes_are_those_of_the_photo(turn):
    photo, place = on_a_desk(page(), turn)
    made = read(photo, ask)
    assert made.text == "35718\n456\n12 907"
    _, boxes = sheet("35718", size=(180, 900), gap=16)
    for digit, (x, y, w, h) in zip(made.digits, boxes, strict=False):
        middle = cv2.perspectiveTransform(np.float32([[[x + w / 2, y + h / 2]]]), place)[0, 0]
        box = digit.box
        assert (box.x + box.w / 2, box.y + box.h / 2) == pytest.approx(middle, abs=8)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_that_says_nothing_upright_is_read_turned(quarters):
    photo = np.rot90(page(), quarters)

    def upright_only(lines):
        """What an honest reader says: nothing of writing that it does not know."""
        read = (p if p.text and p.confidence > 0.9 ** len(p.text) else unknown(p) for p in ask(lines))
        return Answer(tuple(read), 7)

    made = read(photo, upright_only)
    assert made.text.startswith("35718\n456")
    tall = quarters % 2 == 0
    assert all((digit.box.h > digit.box.w) == tall for digit in made.digits[:3])


def test_a_strip_is_read_as_a_whole_however_many_specks_look_like_digits():
    photo, _ = sheet("472", height=40, gap=12, size=(118, 260), left=20, top=40)
    for x in range(10, 250, 40):
        cv2.line(photo, (x, 6), (x + 4, 28), 60, 3)
        cv2.line(photo, (x, 90), (x + 4, 112), 60, 3)
    asked = []

    def read_specks(lines):
        asked.append(lines)
        whole, *others = ask(lines)
        specks = [dataclasses.replace(each, confidence=0.8) for each in others]
        return Answer((dataclasses.replace(whole, confidence=0.4), *specks), 7)

    made = read(photo, read_specks)
    assert len(asked[0]) > 2, "the specks are asked about, too"
    (field,) = made.fields
    assert np.array_equal(field.image.pixels, asked[0][0])


def test_a_strip_that_says_nothing_is_tried_on_its_head_but_not_on_its_side():
    photo, asked = sheet("472", height=34, gap=12, size=(70, 220), left=20, top=20)[0], []

    def says_nothing(lines):
        asked.append(lines)
        return Answer(tuple(map(unknown, ask(lines))), 7)

    assert not read(photo, says_nothing).fields
    upright, turned = (question[0] for question in asked)
    assert len(asked[1]) == len(asked[0]) and upright.shape == turned.shape


def unknown(prediction):
    return LinePrediction("", "", 0.9, False, (), prediction.columns)


def test_what_has_no_digits_is_listed_with_its_place_and_nothing_is_accepted():
    photo, boxes = sheet("475")

    made = read(photo, lambda lines: Answer(tuple(map(unknown, ask(lines))), 7))
    assert made.lines == () and made.version == 7
    assert {each.reason for each in made.unread} == {"no digits"}
    box = made.unread[0].box
    assert box.x <= boxes[0][0] and boxes[-1][0] + boxes[-1][2] <= box.x + box.w


def test_an_empty_photo_has_no_digits_and_asks_nothing():
    for photo in (np.full((90, 120), 200, np.uint8), np.zeros((28, 28, 3), np.uint8)):
        made = read(photo, lambda _: pytest.fail("the model was asked"))
        assert (made.lines, made.unread, made.text, made.version) == ((), (), "", None)


def test_the_model_decides_what_is_accepted_or_the_least_confidence_does():
    photo, _ = sheet("35718")
    (field,) = read(photo, ask).fields
    assert field.accepted and 0.9 < field.confidence < 1
    assert not read(photo, ask, least=1.0).fields[0].accepted

    def doubting(lines):
        return Answer(tuple(dataclasses.replace(each, accepted=False) for each in ask(lines)), 7)

    assert not read(photo, doubting).fields[0].accepted
    assert read(photo, doubting, least=0.5).fields[0].accepted


def test_each_digit_has_the_nine_others_as_alternatives_likeliest_first():
    digit = read(sheet("7")[0], ask).digits[0]
    assert {other for other, _ in digit.alternatives} == set(range(10)) - {7}
    shares = [p for _, p in digit.alternatives]
    assert shares == sorted(shares, reverse=True)


def test_a_format_is_the_likeliest_text_of_its_kind_and_what_has_none_is_unread():
    photo, _ = sheet("35718")
    (field,) = read(photo, ask, form="digits:5").fields
    assert (field.text, field.kind, field.accepted) == ("35718", "postcode", True)
    made = read(photo, ask, form="digits:3")
    assert made.fields == () and made.unread[0].reason == "nothing of the format digits:3"
    assert texts(sheet("3.2")[0], form="score") == ["3:2"]
    with pytest.raises(BadRequest, match="the format"):
        read(photo, ask, form="(")


def test_a_large_photo_is_looked_at_smaller_and_boxes_are_those_of_the_photo():
    photo, boxes = sheet("925", height=160, gap=90, size=(2000, 2600), left=900, top=800)
    made = read(photo, ask)
    assert made.text == "925"
    box = made.digits[1].box
    assert (box.x, box.h) == pytest.approx((boxes[1][0], boxes[1][3]), abs=16)


def test_the_annotated_picture_marks_digits_and_leaves_the_photo_alone():
    photo, _ = sheet("35718")
    before = photo.copy()
    made = read(photo, ask)
    drawn = annotated(photo, made)
    assert drawn.dtype == np.uint8 and drawn.ndim == 3 and max(drawn.shape) >= 900
    assert (np.ptp(drawn.astype(int), axis=2) > 80).sum() > 200  # the photo has no colours
    assert (photo == before).all()
    photo, _ = sheet("472", size=(400, 1000))  # large enough as it is
    photo.flags.writeable = False
    assert annotated(photo, read(photo, ask)).shape == (400, 1000, 3)


def test_json_holds_all_that_was_read_and_an_asyncio_client_reads_the_same():
    photo, _ = sheet("35718")
    made = read(photo, ask)
    tree = as_tree(made)
    (field,) = tree["lines"][0]["fields"]
    assert (tree["text"], field["kind"], field["text"]) == ("35718", "postcode", "35718")
    assert Box(*field["digits"][0]["box"]) == made.digits[0].box

    async def later(lines):
        return ask(lines)

    assert asyncio.run(read_later(photo, later)) == made
