"""Which rows can't be used, and the reason that a person reads."""

import numpy as np
import pytest

from digits.dataset import Split
from digits.validate.table import RowLimits, faults, image_facts, kind, list_bad, table
from tests._digits import digits
from tests._raw import NAME, base, split, with_batch

LIMITS = RowLimits(contrast=32, min_ink=0.01, max_ink=0.6)


DIGIT = split(1, 77).images[0]
BLACK = np.zeros((28, 28), np.uint8)


def drawn(value, rows, columns, on=0):
    image = np.full((28, 28), on, np.uint8)
    image[rows, columns] = value
    return image


INSIDE, ALL = slice(1, 27), slice(None)


@pytest.mark.parametrize(
    ("image", "label", "says"),
    [
        (DIGIT, 3, ""),
        (BLACK, 3, "blank"),
        (BLACK + np.uint8(255), 3, "saturated"),
        (drawn(20, slice(5, 20), slice(10, 14)), 3, "blank: its grey levels span 20, at least 32 expected"),
        (drawn(255, 14, 14), 3, "blank: 0.1% ink"),
        (drawn(255, INSIDE, INSIDE), 3, "saturated"),
        (255 - DIGIT, 3, "inverted"),
        (DIGIT, 10, "label 10 is not a digit"),
        (base(20, 10)["train"].images[4], 3, "copy of train row 4"),
        (base(20, 10)["test"].images[4], 3, "copy of test row 4"),
    ],
)
def test_what_a_batch_brings_is_faulted_with_a_reason(image, label, says):
    batch = Split(np.stack([image, image]), np.array([label, label], np.uint8), np.array(["post", "post"]))
    reasons = faults(table(with_batch(base(20, 10), batch), NAME), LIMITS)
    assert (reasons[:20] == "").all()
    assert reasons[20].startswith(says) and bool(reasons[20]) == bool(says)
    assert says or reasons[21] == "copy of train row 20"


def test_rows_say_where_they_stand_and_what_becomes_of_each():
    splits = base(20, 10)
    images = splits["test"].images.copy()
    images[2], images[4] = 0, splits["train"].images[7]
    splits["test"] = Split(images, splits["test"].labels, splits["test"].batches)
    splits["train"] = splits["train"].take(np.array([*range(20), 5]))  # twice within a split: no fault
    rows = table(with_batch(splits, Split(255 - DIGIT[None], np.array([3]), np.array(["post"]))), NAME)
    assert list(rows["split"].value_counts(sort=False)) == [22, 10]
    assert list(rows.loc[~rows["base"], "batch"]) == ["post"]
    assert list(rows["label"][:20]) == list(splits["train"].labels[:20])
    bad = list_bad(rows, faults(rows, LIMITS))
    assert list(bad["action"]) == ["quarantined", "refused", "refused"]
    assert list(bad["batch"]) == ["post", NAME, NAME]
    assert list(bad["row"]) == [21, 2, 4]
    assert [kind(reason) for reason in bad["reason"]] == ["inverted", "blank", "copy"]
    copy = rows.set_index(["split", "row"]).loc[("test", 4)]
    assert (copy["copy_of"], copy["copy_split"]) == ("train row 7", "train")


def test_more_rows_than_a_chunk_keep_their_order_and_digests_tell_them_apart():
    images, _ = digits(10, 3)
    facts = image_facts(np.tile(images, (1000, 1, 1)))
    assert len(facts) == 10_000 and facts["digest"].nunique() == 10
    assert (facts["digest"].to_numpy().reshape(1000, 10) == image_facts(images)["digest"].to_numpy()).all()
