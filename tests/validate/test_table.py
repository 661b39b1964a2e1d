"""Which rows can't be used, and the reason that a person reads."""

import numpy as np
import pytest

from digits.dataset import Split
from digits.validate.table import RowLimits, faults, image_facts, kind, list_bad, table
from tests._digits import digits
from tests._raw import NAME, base, split, with_batch

LIMITS = RowLimits(contrast=32, min_ink=0.01, max_ink=0.6)


def fault_of(image, label=3):
    """The reason found for an image that came with a batch."""
    batch = Split(image[None], np.array([label], np.uint8), np.array(["post"]))
    reasons = faults(table(with_batch(base(20, 10), batch), NAME), LIMITS)
    assert (reasons[:20] == "").all()
    return reasons[20]


@pytest.fixture
def digit():
    return split(1, 77).images[0]


def test_a_digit_has_no_fault(digit):
    assert fault_of(digit) == ""


def test_flat_images_are_blank_or_saturated():
    assert fault_of(np.zeros((28, 28), np.uint8)).startswith("blank")
    assert fault_of(np.full((28, 28), 255, np.uint8)).startswith("saturated")
    faint = np.zeros((28, 28), np.uint8)
    faint[5:20, 10:14] = 20
    assert fault_of(faint) == "blank: its grey levels span 20, at least 32 expected"


def test_a_speck_is_blank_and_a_flood_saturated(digit):
    speck = np.zeros((28, 28), np.uint8)
    speck[14, 14] = 255
    assert fault_of(speck).startswith("blank: 0.1 % ink")
    flood = np.full((28, 28), 255, np.uint8)
    flood[0] = flood[-1] = flood[:, 0] = flood[:, -1] = 0
    assert fault_of(flood).startswith("saturated")


def test_black_on_white_is_inverted(digit):
    assert fault_of(255 - digit).startswith("inverted")


def test_a_label_that_is_no_digit(digit):
    assert fault_of(digit, label=10) == "label 10 is not a digit"


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_copy_of_what_is_known_names_the_original(part):
    assert fault_of(base(20, 10)[part].images[4]) == f"copy of {part} row 4"


def test_the_second_of_two_equal_rows_of_a_batch_is_the_copy(digit):
    batch = Split(np.stack([digit, digit]), np.array([3, 3], np.uint8), np.array(["post", "post"]))
    reasons = faults(table(with_batch(base(20, 10), batch), NAME), LIMITS)
    assert list(reasons[20:22]) == ["", "copy of train row 20"]


def test_equal_rows_within_a_split_of_the_data_set_are_no_fault():
    splits = base(20, 10)
    twice = splits["train"].take(np.array([*range(20), 5]))
    reasons = faults(table(splits | {"train": twice}, NAME), LIMITS)
    assert (reasons == "").all()


def test_what_is_listed_says_what_becomes_of_each_row(digit):
    splits = base(20, 10)
    images = splits["test"].images.copy()
    images[2] = 0
    splits["test"] = Split(images, splits["test"].labels, splits["test"].batches)
    batch = Split(255 - digit[None], np.array([3], np.uint8), np.array(["post"]))
    rows = table(with_batch(splits, batch), NAME)
    bad = list_bad(rows, faults(rows, LIMITS))
    assert list(bad["action"]) == ["quarantined", "refused"]
    assert list(bad["batch"]) == ["post", NAME]
    assert list(bad["row"]) == [20, 2]
    assert [kind(reason) for reason in bad["reason"]] == ["inverted", "blank"]


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
