import numpy as np
import pytest

from digits import splits
from digits.errors import DataError


def labels(*counts):
    return np.repeat(np.arange(len(counts)), counts).astype(np.uint8)


def test_the_parts_are_disjoint_whole_and_in_order():
    rest, part = splits.stratified(labels(30, 50, 20), 0.2, seed=1)
    assert sorted([*rest, *part]) == list(range(100))
    assert list(rest) == sorted(rest) and list(part) == sorted(part)


def test_each_class_gives_its_share():
    y = labels(30, 50, 20)
    _, part = splits.stratified(y, 0.2, seed=1)
    assert list(np.bincount(y[part])) == [6, 10, 4]


def test_a_tiny_class_stays_on_both_sides():
    y = labels(2, 100)
    rest, part = splits.stratified(y, 0.01, seed=1)
    assert 0 in y[rest] and 0 in y[part]


def test_the_seed_decides():
    y = labels(50, 50)
    first, again, other = (splits.stratified(y, 0.2, seed=s)[1] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_of_one_can_not_be_split():
    with pytest.raises(DataError, match=r"digit 1 has 1 image.*add images"):
        splits.stratified(labels(5, 1), 0.2, seed=1)


def test_rows_keep_together():
    images = np.zeros((3, 28, 28), np.uint8)
    images[1] = 9
    split = splits.Split(images, labels(1, 1, 1), np.array(["a", "b", "c"]))
    one = split.take(np.array([1]))
    assert one.images.max() == 9 and list(one.labels) == [1] and list(one.batches) == ["b"]
    both = splits.concatenate([split, one])
    assert len(both) == 4 and list(both.batches) == ["a", "b", "c", "b"]
