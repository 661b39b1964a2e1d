"""Which rows can't be used, and the reason that a person reads."""

import numpy as np
import pytest

from digits.dataset import Split
from digits.validate.table import RowLimits, faults, kind, list_bad, table
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
