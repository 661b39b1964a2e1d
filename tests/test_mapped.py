import numpy as np
import pytest

from digits import dataset


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(600, dtype=np.uint16).reshape(100, 2, 3))
    return np.load(tmp_path / "a.npy", mmap_mode="r")


def test_rows_come_in_the_order_asked_for(array):
    rows = np.array([7, 99, 1, 7])
    assert np.array_equal(dataset.take(array, rows), np.asarray(array)[rows])
    assert np.array_equal(dataset.take(array[1:], rows - 1), np.asarray(array)[rows - 1 + 1])


def test_only_a_whole_file_counts_as_mapped(array):
    assert dataset.is_mapped(array)
    assert not dataset.is_mapped(array[3:])
    assert not dataset.is_mapped(np.zeros(3))


def test_there_is_a_reader_for_what_is_mapped_and_large(array):
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
