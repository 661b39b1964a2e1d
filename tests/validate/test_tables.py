"""One row an image, with facts that can be checked by hand."""

import numpy as np
import pytest

from digits.dataset import Split
from digits.validate.table import image_facts, table
from tests._digits import digits
from tests._raw import NAME, base, split, with_batch


def one(image):
    return image_facts(image[None]).iloc[0]


@pytest.fixture
def box():
    """A rectangle of grey 200 from (left 5, top 8), 4 wide and 10 high, on black."""
    image = np.zeros((28, 28), np.uint8)
    image[8:18, 5:9] = 200
    return image


def test_facts_of_a_rectangle(box):
    facts = one(box)
    assert (facts["low"], facts["high"], facts["contrast"], facts["levels"]) == (0, 200, 200, 2)
    assert (facts["left"], facts["top"], facts["width"], facts["height"]) == (5, 8, 4, 10)
    assert (facts["centre_x"], facts["centre_y"]) == (6.5, 12.5)
    assert facts["ink"] == pytest.approx(40 / 784)
    assert facts["mean"] == pytest.approx(200 * 40 / 784)
    assert facts["polarity"] == pytest.approx(200 * 40 / 26**2)


def test_the_centre_and_box_do_not_depend_on_the_background(box):
    lifted = box + np.uint8(30)
    facts, plain = one(lifted), one(box)
    for column in ("left", "top", "width", "height", "centre_x", "centre_y", "contrast", "ink"):
        assert facts[column] == plain[column]


def test_black_on_white_has_negative_polarity(box):
    assert one(255 - box)["polarity"] < 0 < one(box)["polarity"]


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_flat_image_has_facts_without_nan(grey):
    facts = one(np.full((28, 28), grey, np.uint8))
    assert (facts["contrast"], facts["ink"], facts["width"], facts["height"]) == (0, 0, 0, 0)
    assert facts["polarity"] == 0
    assert not facts.isna().any()


def test_distinct_levels_and_digest_tell_images_apart():
    images, _ = digits(40, 3)
    facts = image_facts(images)
    assert list(facts["levels"]) == [len(np.unique(image)) for image in images]
    assert facts["digest"].nunique() == 40
    assert image_facts(images[:1])["digest"][0] == facts["digest"][0]


def test_more_rows_than_a_chunk_keep_their_order():
    images, _ = digits(10, 3)
    many = np.tile(images, (1000, 1, 1))
    facts = image_facts(many)
    assert len(facts) == 10_000
    assert (facts["digest"].to_numpy().reshape(1000, 10) == image_facts(images)["digest"].to_numpy()).all()


def test_rows_say_where_they_stand():
    splits = with_batch(base(20, 10), split(6, 9, "post"), heldout=2)
    rows = table(splits, NAME)
    assert list(rows["split"].value_counts(sort=False)) == [24, 10, 2]
    assert list(rows.loc[rows["split"] == "heldout", "row"]) == [0, 1]
    assert list(rows.loc[~rows["base"], "batch"]) == ["post"] * 6
    assert list(rows["label"][:20]) == list(splits["train"].labels[:20])
    assert rows["copy_of"].isna().all()


def test_copies_name_the_first_row_that_looks_alike():
    splits = base(20, 10)
    test = splits["test"].images.copy()
    test[4] = splits["train"].images[7]
    splits["test"] = Split(test, splits["test"].labels, splits["test"].batches)
    rows = table(splits, NAME).set_index(["split", "row"])
    assert rows.loc[("test", 4), "copy_of"] == "train row 7"
    assert rows.loc[("test", 4), "copy_split"] == "train"
    assert rows["copy_of"].notna().sum() == 1


def test_a_batch_row_is_the_copy_even_where_it_stands_before_the_original():
    splits = base(20, 10)
    leaked = Split(splits["test"].images[:1], splits["test"].labels[:1], np.array(["post"]))
    rows = table(with_batch(splits, leaked), NAME).set_index(["split", "row"])
    assert rows.loc[("train", 20), "copy_of"] == "test row 0"
    assert rows["copy_of"].notna().sum() == 1


def test_the_images_are_not_changed():
    splits = base(20, 10)
    before = splits["train"].images.copy()
    table(splits, NAME)
    assert (splits["train"].images == before).all()
