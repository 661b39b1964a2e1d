"""Which lines can't be used, and the reason that a person reads."""

import numpy as np

from digits.line_model.lines import RealLines
from digits.validate.lines import faults, table
from tests._lines import real_lines

ONE, TWO, THREE = (real_lines(*[40] * n).image(0) for n in (1, 2, 3))
FAINT = np.tile(np.arange(100, 131, dtype=np.uint8), (32, 4))


def test_faint_lines_and_copies_are_faults_and_a_copys_reason_has_another_text():
    kept = RealLines.of([ONE, TWO, ONE, FAINT], [[1, 10, 2], [3], [1, 10, 2], [5]], ["a", "a", "b", "b"])
    held = RealLines.of([TWO, THREE, TWO[:, :20]], [[4], [], [3]], ["b"] * 3)
    rows = table({"lines": kept, "heldout_lines": held})
    assert rows["label"].tolist() == ["1.2", "3", "1.2", "5", "4", "", "3"]
    assert faults(rows, 32).tolist() == [
        "",
        "",
        "copy of lines row 0",
        "blank: its grey levels span 30, at least 32 expected",
        "copy of lines row 1, which says '3'",
        "",
        "",
    ]


def test_no_lines_have_no_faults():
    assert faults(table({"lines": RealLines.of([], [], [])}), 32).tolist() == []
