import numpy as np
import pytest

from digits.evaluate.line_sets import WIDTHS, WITHOUT, composed, without_digits
from digits.lines.compose import KINDS
from tests._raw import split

TEST = split(100, seed=2)


@pytest.fixture(scope="module")
def made():
    return composed(30, 1, TEST) | without_digits(30, 1)


def test_every_kind_has_its_lines_over_the_widths_and_the_composed_ones_alone_say_something(made):
    assert list(made) == [*KINDS, *WITHOUT]
    for groups in made.values():
        assert [lines.width for lines in groups] == list(WIDTHS)
        assert [len(lines) for lines in groups] == [7, 8, 7, 8]
        assert all(lines.images.dtype == np.uint8 for lines in groups)
    for kind, groups in made.items():
        lengths = np.concatenate([lines.lengths for lines in groups])
        assert (lengths > 0).all() if kind in KINDS else not lengths.any()


def test_equal_seeds_give_equal_lines_and_no_two_kinds_are_the_same(made):
    again = composed(30, 1, TEST) | without_digits(30, 1)
    other = composed(30, 2, TEST) | without_digits(30, 2)
    seen = set()
    for kind, groups in made.items():
        for lines, same, apart in zip(groups, again[kind], other[kind], strict=True):
            assert np.array_equal(lines.images, same.images) and np.array_equal(lines.texts, same.texts)
            assert not np.array_equal(lines.images, apart.images)
            seen.add(lines.images.tobytes())
    assert len(seen) == len(made) * len(WIDTHS)


def test_what_has_no_digit_is_drawn_and_bare_paper_is_not(made):
    def spread(kind):
        return np.median([image.std() for lines in made[kind] for image in lines.images])

    assert spread("empty") < 4
    assert spread("texture") > 1.3 * spread("empty")
    for kind in ("letters", "scribbles", "figures", "smileys", "squared"):
        assert spread(kind) > 3 * max(spread("empty"), 2), kind
