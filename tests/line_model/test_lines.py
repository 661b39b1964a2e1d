import numpy as np
import pytest

from digits.line_model.lines import SEPARATOR, digits_of, edits, load_lines, save_lines
from digits.runtime.errors import DataError
from tests.lines._written import one_digit


@pytest.mark.parametrize(
    ("one", "other", "n"),
    [
        ([], [], 0),
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 2, 3], [1, 3], 1),
        ([1, 3], [1, 2, 3], 1),
        ([1, 2, 3], [1, 4, 3], 1),
        ([1, 2], [], 2),
        ([], [1, 2], 2),
        ([1, 2], [2, 1], 2),
        ([7, 1, 2, 3], [1, 2, 3, 7], 2),
    ],
)
def test_edits_are_the_fewest_that_make_one_of_the_other(one, other, n):
    assert edits(one, other) == n


def test_the_digits_of_a_line_are_its_text_without_separators():
    assert digits_of([1, SEPARATOR, 0, 5, -1]) == "105"
    assert digits_of([]) == ""


def test_lines_come_back_as_they_were_saved(tmp_path):
    groups = [one_digit(np.arange(n), seed=1) for n in (2, 3, 0, *[1] * 10)]
    save_lines(tmp_path / "lines.npz", groups)
    back = load_lines(tmp_path / "lines.npz")
    assert [len(lines) for lines in back] == [len(lines) for lines in groups]
    for one, other in zip(groups, back, strict=True):
        assert np.array_equal(one.images, other.images) and one.characters() == other.characters()
        assert other.width == 32


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"PK\x03\x04", None], ids=["empty", "text", "zip", "cut"]
)
def test_a_damaged_or_missing_file_is_told_by_its_name(tmp_path, content):
    path = tmp_path / "lines.npz"
    with pytest.raises(DataError, match=r"lines\.npz is missing"):
        load_lines(path)
    save_lines(path, [one_digit(np.arange(2), seed=1)])
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(DataError, match=r"lines\.npz is damaged"):
        load_lines(path)
