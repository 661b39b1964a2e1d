"""The strips' own logic: what is drawn is what the truth says, and figures add up."""

import io
from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from bench.strips.__main__ import KINDS, draw, main, real
from bench.strips.scenes import contact_sheet, strip
from bench.strips.scoring import figures, judge
from bench.strips.writing import Number, Photo
from digits.dataset import Split
from digits.runtime.errors import DataError
from digits_client.reading import Box, Field, Line, LineImage, Reading
from tests._digits import digits

SPLIT = Split(*digits(40, seed=3), np.array(["mnist"] * 40))
IMAGE = LineImage(np.zeros((32, 8), np.uint8), "", 0.0)
EMPTY = ("R1 empty graph paper", "R9 a smiley")
LEFT, RIGHT = Number("3,625", (10, 10, 90, 30)), Number("47", (200, 10, 50, 30))


def reading(*fields):
    made = [Field("number", text, 0.9, accepted, Box(*box), (), (), IMAGE) for text, accepted, box in fields]
    return Reading(300, 50, tuple(Line(each.box, (each,)) for each in made), (), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_lie_in_the_picture_and_differ_from_the_paper(kind):
    for photo in draw(kind, SPLIT, 1, 3):
        grey = np.array(Image.open(io.BytesIO(photo.data)).convert("LA")).sum(-1, dtype=int)
        assert bool(photo.numbers) == (kind not in EMPTY)
        for number in photo.numbers:
            x, y, w, h = number.box
            assert min(x, y) >= 0 and x + w <= grey.shape[1] and y + h <= grey.shape[0], number
            assert number.text and w > 2 and h > 8 and np.ptp(grey[y : y + h, x : x + w]) > 25, number


def test_the_same_seed_gives_the_same_pictures_and_another_others():
    for kind in ("five touching", "R8 a sheet on a desk", "R10 styles of digits"):
        one, same, other = (list(draw(kind, SPLIT, seed, 1)) for seed in (7, 7, 8))
        assert one == same != other


def test_fields_have_the_digits_that_were_asked_for_side_by_side_and_touch_only_when_asked():
    for ruling in ("plain", "squared", "ruled", "form", "board"):
        ((number,), wide) = (
            strip(SPLIT, text, np.random.default_rng(4), ruling).numbers for text in ("20", "2012345")
        )
        assert number.text == "20" and wide[0].text == "2012345"
        assert wide[0].box[2] > 2 * number.box[2] > number.box[3], ruling
    (touching,), (apart,) = (
        strip(SPLIT, "80808", np.random.default_rng(4), "plain", each).numbers for each in ([True] * 4, ())
    )
    assert touching.box[2] < apart.box[2]


def test_figures_count_numbers_answers_and_fields_that_are_nowhere():
    photo, left, right = Photo(b"", (LEFT, RIGHT)), ("3625", True, LEFT.box), ("47", False, RIGHT.box)
    wrong, stray = ("41", True, RIGHT.box), ("8", True, (120, 10, 9, 30))
    halves = [("362", True, (10, 10, 60, 30)), ("5", False, (75, 10, 20, 30))]
    judged = [judge(photo, reading(*fields)) for fields in
              ([left, right], [left, wrong], [left, right, stray], [*halves, right], [])]  # fmt: skip
    assert [each.whole for each in judged] == [True, False, False, False, False]
    told = figures(judged)
    assert told["right"] == {"n": 10, "right": 6}  # left three times, right three times
    assert told["answered"] == {"n": 10, "right": 5}
    assert told["accepted"] == {"n": 6, "right": 3}
    both = judge(photo, reading(("3625", True, (10, 10, 250, 30))))
    assert not both.whole and both.right == (True, False)
    assert judge(Photo(b"", ()), reading()).whole
    smiley = judge(Photo(b"", ()), reading(("0", True, (1, 1, 9, 9))))
    assert not smiley.whole and smiley.accepted == (False,)


def nothing_to_ask(images):
    raise AssertionError(f"{len(images)} pictures of an empty sheet")


def test_real_pictures_are_told_apart_by_their_files_and_the_unsure_ones_again(tmp_path):
    for name in "012":
        Image.new("L", (200, 60), 255).save(tmp_path / f"{name}.png")
    labels = tmp_path / "labels.csv"
    labels.write_text("file,text,unsure\n2.png,12,yes\n0.png,3,\n1.png,4,\n")
    records = list(real(Namespace(real=tmp_path, wrong=tmp_path / "wrong"), nothing_to_ask))
    assert [each["right"] for each in records] == [{"n": n, "right": 0} for n in (2, 1, 1)]
    assert len(list((tmp_path / "wrong").iterdir())) == 3
    labels.write_text("file,text,unsure\n3.png,12,yes\n")
    with pytest.raises(DataError, match="labels"):
        list(real(Namespace(real=tmp_path, wrong=None), nothing_to_ask))


def test_a_model_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["--model", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) != 0
    assert "none is no SavedModel" in capsys.readouterr().err


def test_a_contact_sheet_shows_five_pictures_in_a_row():
    shown = Image.open(io.BytesIO(contact_sheet(list(draw("R5 a 1 with a long flag", SPLIT, 1, 6)))))
    assert shown.size == (2400, 960)
