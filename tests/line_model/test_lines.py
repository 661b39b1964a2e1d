import numpy as np
import pytest

from digits.line_model.lines import (
    SEPARATOR,
    RealLines,
    digits_of,
    edits,
    load_lines,
    load_real_lines,
    save_lines,
    save_real_lines,
)
from digits.runtime.errors import DataError
from tests._lines import real_lines
from tests.lines._written import one_digit


def test_lines_of_many_widths_are_taken_saved_and_grouped(tmp_path):
    lines = RealLines.joined([real_lines(40, 8, 40), real_lines(64, text=[], batch="form")])
    save_real_lines(tmp_path / "lines", lines)
    back = load_real_lines(tmp_path / "lines")
    assert back.facts() == lines.facts() and back.batches.tolist() == [*["cheques"] * 3, "form"]
    some = back.take(np.array([3, 0]))
    assert np.array_equal(some.image(0), lines.image(3)) and np.array_equal(some.image(1), lines.image(0))
    assert some.characters(0) == [] and some.characters(1) == [1, SEPARATOR, 2]
    assert [(group.width, len(group)) for group in back.groups()] == [(8, 1), (40, 2), (64, 1)]
    assert np.array_equal(back.groups()[1].images[1], lines.image(2))
    many = real_lines(*[2048] * 40).groups()
    assert [len(group) for group in many] == [32, 8], "small enough to be read at once"
    (tmp_path / "lines" / "widths.npy").unlink()
    with pytest.raises(DataError, match=r"widths\.npy is missing"):
        load_real_lines(tmp_path / "lines")


def test_no_lines_are_saved_and_read_like_others(tmp_path):
    save_real_lines(tmp_path / "none", RealLines.of([], [], []))
    none = load_real_lines(tmp_path / "none")
    assert len(none) == 0 and none.groups() == [] and none.facts() == none.take(none.batches == "x").facts()


def test_edits_are_the_fewest_that_make_one_of_the_other_and_digits_are_a_text_without_separators():
    for one, other, n in (
        *(([], [], 0), ([1, 2, 3], [1, 2, 3], 0), ([1, 2, 3], [1, 3], 1), ([1, 3], [1, 2, 3], 1)),
        *(([1, 2, 3], [1, 4, 3], 1), ([1, 2], [], 2), ([], [1, 2], 2), ([1, 2], [2, 1], 2)),
        ([7, 1, 2, 3], [1, 2, 3, 7], 2),
    ):
        assert edits(one, other) == n, (one, other)
    assert digits_of([1, SEPARATOR, 0, 5, -1]) == "105" and digits_of([]) == ""


def test_lines_come_back_as_they_were_saved(tmp_path):
    groups = [one_digit(np.arange(n), seed=1) for n in (2, 3, 0, *[1] * 10)]
    save_lines(tmp_path / "lines.npz", groups)
    back = load_lines(tmp_path / "lines.npz")
    assert [len(lines) for lines in back] == [len(lines) for lines in groups]
    for one, other in zip(groups, back, strict=True):
        assert np.array_equal(one.images, other.images) and one.characters() == other.characters()
        assert other.width == 32


def test_a_damaged_or_missing_file_is_told_by_its_name(tmp_path):
    path = tmp_path / "lines.npz"
    with pytest.raises(DataError, match=r"lines\.npz is missing"):
        load_lines(path)
    save_lines(path, [one_digit(np.arange(2), seed=1)])
    for content in (path.read_bytes()[:-100], b"", b"nothing", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"lines\.npz is damaged"):
            load_lines(path)
