import numpy as np
import pytest

from digits.lines.grounds import KINDS, TALL, WIDE, Grounds, texture


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_texture_is_a_pattern_around_0(kind):
    made = texture(np.random.default_rng(2), kind)
    assert made.shape == (TALL, WIDE) and made.dtype == np.float32
    assert abs(made.mean()) < 1e-3 and made.std() == pytest.approx(0.5, abs=1e-3)


def test_windows_have_the_size_that_is_asked_for_and_differ():
    grounds = Grounds(np.random.default_rng(1), n=8)
    rng = np.random.default_rng(2)
    for width in (4, 31, 160, 313):
        windows = [grounds.window(rng, 32, width) for _ in range(5)]
        assert {window.shape for window in windows} == {(32, width)}
        assert len({window.tobytes() for window in windows}) == 5
        assert all(np.abs(window).max() < 5 for window in windows)
