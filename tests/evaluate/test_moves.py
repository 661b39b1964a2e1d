import numpy as np
import pytest

from digits.evaluate.corruptions import either_way, rotate, scale, shift
from tests._digits import digits

IMAGES = digits(40, seed=2)[0].astype(np.float32) / np.float32(255)


def apply(move, images=IMAGES):
    return move(images, np.random.default_rng(1))


@pytest.mark.parametrize("move", [shift(0), rotate(0), scale(1), either_way(lambda _: [[1, 0], [0, 1]])])
def test_no_move_changes_nothing(move):
    assert apply(move) == pytest.approx(IMAGES, abs=1e-6)


def test_a_half_turn_is_a_half_turn():
    assert apply(rotate(180)) == pytest.approx(IMAGES[:, ::-1, ::-1], abs=1e-5)


def test_a_quarter_turn_goes_either_way():
    turned = apply(rotate(90))
    ways = [np.abs(turned - np.rot90(IMAGES, k, axes=(1, 2))).max(axis=(1, 2)) < 1e-5 for k in (1, 3)]
    assert (ways[0] ^ ways[1]).all()
    assert 0.2 < ways[0].mean() < 0.8


def test_what_is_uncovered_is_black():
    white = np.ones((8, 28, 28), np.float32)
    assert (apply(shift(5), white).sum(axis=(1, 2)) == 23 * 23).all()
    assert apply(scale(0.5), white)[:, 0].max() == 0
