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


def test_the_parts_are_disjoint_whole_and_in_order_and_each_class_gives_its_share():
    y = labels(30, 50, 20)
    rest, part = dataset.split_stratified(y, 0.2, seed=1)
    assert list(np.bincount(y[part])) == [6, 10, 4]
    assert sorted([*rest, *part]) == list(range(100))
    assert list(rest) == sorted(rest) and list(part) == sorted(part)


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
    dataset.save_split(tmp_path / "none", split(0))
    assert len(dataset.load_split(tmp_path / "none")) == 0


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


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(600, dtype=np.uint16).reshape(100, 2, 3))
    return np.load(tmp_path / "a.npy", mmap_mode="r")


def test_rows_come_in_the_order_asked_for(array):
    rows = np.array([7, 99, 1, 7])
    assert np.array_equal(dataset.take(array, rows), np.asarray(array)[rows])
    assert np.array_equal(dataset.take(array[1:], rows - 1), np.asarray(array)[rows - 1 + 1])


def test_there_is_a_reader_for_what_is_mapped_whole_and_large(array):
    assert dataset.is_mapped(array)
    assert not dataset.is_mapped(array[3:]) and not dataset.is_mapped(np.zeros(3))
    rows = np.array([3, 1])
    assert np.array_equal(dataset.reader(array, 100)(rows), np.asarray(array)[rows])
    assert dataset.reader(array, array.nbytes) is None
    assert dataset.reader(np.array(array), 100) is None


def test_a_file_that_was_cut_is_told(array, tmp_path):
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-20])
    with pytest.raises(OSError, match=r"a\.npy ends before row 99"):
        dataset.take(array, np.array([99]))


def test_an_array_is_the_same_after_it_was_let_go(array):
    before = np.array(array)
    dataset.let_go(array)
    dataset.let_go(before)
    assert np.array_equal(array, before)
