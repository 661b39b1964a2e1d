import numpy as np
import pytest

from digits import dataset
from digits.dataset import Split
from digits.runtime.errors import DataError


def split(n=3):
    images = np.arange(n * 784, dtype=np.uint8).reshape(n, 28, 28)
    return Split(images, np.arange(n, dtype=np.uint8), np.array(["a"] * n))


def labels(*counts):
    return np.repeat(np.arange(len(counts)), counts).astype(np.uint8)


def test_the_parts_are_disjoint_whole_and_in_order():
    rest, part = dataset.split_stratified(labels(30, 50, 20), 0.2, seed=1)
    assert sorted([*rest, *part]) == list(range(100))
    assert list(rest) == sorted(rest) and list(part) == sorted(part)


def test_each_class_gives_its_share():
    y = labels(30, 50, 20)
    _, part = dataset.split_stratified(y, 0.2, seed=1)
    assert list(np.bincount(y[part])) == [6, 10, 4]


def test_a_tiny_class_stays_on_both_sides():
    y = labels(2, 100)
    rest, part = dataset.split_stratified(y, 0.01, seed=1)
    assert 0 in y[rest] and 0 in y[part]


def test_the_seed_decides():
    y = labels(50, 50)
    first, again, other = (dataset.split_stratified(y, 0.2, seed=s)[1] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_of_one_can_not_be_split():
    with pytest.raises(DataError, match=r"digit 1 has 1 image.*add images"):
        dataset.split_stratified(labels(5, 1), 0.2, seed=1)


def test_rows_keep_together():
    images = np.zeros((3, 28, 28), np.uint8)
    images[1] = 9
    split = dataset.Split(images, labels(1, 1, 1), np.array(["a", "b", "c"]))
    one = split.take(np.array([1]))
    assert one.images.max() == 9 and list(one.labels) == [1] and list(one.batches) == ["b"]
    both = dataset.concatenate([split, one])
    assert len(both) == 4 and list(both.batches) == ["a", "b", "c", "b"]


@pytest.mark.parametrize("mmap", [False, True])
def test_a_split_comes_back_as_it_was_written(tmp_path, mmap):
    dataset.save_split(tmp_path / "s", split())
    back = dataset.load_split(tmp_path / "s", mmap=mmap)
    assert np.array_equal(back.images, split().images) and back.images.dtype == np.uint8
    assert np.array_equal(back.labels, split().labels)
    assert list(back.batches) == ["a", "a", "a"]
    assert isinstance(back.images, np.memmap) is mmap


def test_an_empty_split_is_a_split(tmp_path):
    dataset.save_split(tmp_path / "s", split(0))
    assert len(dataset.load_split(tmp_path / "s")) == 0


def test_a_damaged_split_is_named(tmp_path):
    dataset.save_split(tmp_path / "s", split())
    (tmp_path / "s" / "images.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="damaged"):
        dataset.load_split(tmp_path / "s")
    np.save(tmp_path / "s" / "images.npy", split().images.astype(np.float32))
    with pytest.raises(DataError, match=r"float32\[3, 28, 28\].*expected uint8"):
        dataset.load_split(tmp_path / "s")
    (tmp_path / "s" / "images.npy").unlink()
    with pytest.raises(DataError, match="is missing"):
        dataset.load_split(tmp_path / "s")


def test_a_digest_tells_shape_and_type_apart():
    zeros = np.zeros(4, np.uint8)
    arrays = (zeros, zeros.reshape(2, 2), zeros.astype(np.int8), zeros + 1)
    digests = {dataset.array_sha256(array) for array in arrays}
    assert len(digests) == 4
