import numpy as np
import pytest

from digits import dataset
from digits.dataset import Split
from digits.runtime.errors import DataError


def split(n=3):
    images = np.arange(n * 784, dtype=np.uint8).reshape(n, 28, 28)
    return Split(images, np.arange(n, dtype=np.uint8), np.array(["a"] * n))


def test_the_parts_are_disjoint_whole_and_in_order_and_each_class_gives_its_share():
    y = np.repeat(np.arange(4), (30, 50, 20, 2)).astype(np.uint8)
    rest, part = dataset.split_stratified(y, 0.2, seed=1)
    assert list(np.bincount(y[part])) == [6, 10, 4, 1], "a tiny class stays on both sides"
    assert sorted([*rest, *part]) == list(range(102))
    assert list(rest) == sorted(rest) and list(part) == sorted(part)


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


def test_rows_of_a_large_mapped_array_are_read_in_the_order_asked_for_and_a_cut_file_is_told(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(600, dtype=np.uint16).reshape(100, 2, 3))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    rows = np.array([7, 99, 1, 7])
    assert np.array_equal(dataset.reader(array, 100)(rows), np.asarray(array)[rows])
    assert np.array_equal(dataset.take(array[1:], rows - 1), np.asarray(array)[rows])
    assert dataset.reader(array, array.nbytes) is dataset.reader(np.array(array), 100) is None
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-20])
    with pytest.raises(OSError, match=r"a\.npy ends before row 99"):
        dataset.take(array, np.array([99]))
