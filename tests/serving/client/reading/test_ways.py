"""Ways to cut: what the cuts are, and which way is taken."""

import numpy as np
import pytest

from digits_client.reading import cuts, ways
from digits_client.results import Prediction


def two_bars():
    patch = np.zeros((64, 60), np.uint8)
    patch[:, 10:18] = patch[:, 42:50] = 255
    patch[30:34, 10:50] = 255
    return patch


def answer(digit, confidence):
    rest = (1 - confidence) / 9
    p = tuple(confidence if each == digit else rest for each in range(10))
    return Prediction(digit, confidence, p, confidence > 0.95)


def test_a_cut_goes_through_the_thin_bridge_and_the_whole_comes_last():
    found = cuts.pieces(two_bars())
    assert (found[-1].ink == two_bars()).all()
    halves = [piece for piece in found if piece.first == 0 and 0.1 < piece.width < 0.6]
    assert any(piece.ink[:, :18].sum() == two_bars()[:, :18].sum() for piece in halves)
    assert min(piece.crossed for piece in halves) < 0.1


def test_a_patch_narrower_than_a_cut_is_left_whole():
    assert len(cuts.pieces(np.full((64, 3), 255, np.uint8))) == 1


def test_surely_read_halves_win_over_an_unsure_whole_and_the_other_way_round():
    found = cuts.pieces(two_bars())

    def reads(whole, parts):
        return [answer(4, whole) if i == len(found) - 1 else answer(1, parts) for i in range(len(found))]

    apart = ways.best(found, reads(0.4, 0.999), 1.0)
    assert len(apart.pieces) == 2 and 0.5 < apart.share <= 1
    together = ways.best(found, reads(0.9999, 0.2), 1.0)
    assert together.pieces == (len(found) - 1,)


def test_shares_of_equal_texts_are_added():
    found = cuts.pieces(two_bars())
    reads = [answer(1, 0.999)] * len(found)
    assert ways.best(found, reads, 1.0).share == pytest.approx(1.0, abs=0.5)


def test_strokes_in_a_row_and_holes_are_counted():
    bars = cuts.whole(two_bars())
    assert bars.holes == 0 and bars.runs == pytest.approx((60 * 2 + 4) / 64, abs=0.01)
    ring = np.zeros((64, 60), np.uint8)
    ring[4:60, 10:50] = 255
    ring[12:52, 18:42] = 0
    ring[30, 5] = 255  # a speck is no stroke of its own hole
    assert cuts.whole(ring).holes == 1
    assert cuts.whole(np.zeros((64, 9), np.uint8)).runs == 0


def test_a_whole_with_more_holes_than_its_digit_has_is_cut_if_its_halves_are_read_as_well():
    patch = np.zeros((64, 96), np.uint8)
    for left in (6, 48):
        patch[6:58, left : left + 40] = 255
        patch[14:50, left + 8 : left + 32] = 0
    patch[30:34, 44:50] = 255
    found = cuts.pieces(patch)
    assert found[-1].holes == 2
    reads = [answer(0, 0.97) for _ in found]
    assert len(ways.best(found, reads, 1.5).pieces) == 2
    assert ways.too_much(found[-1], answer(0, 0.999))


def test_more_stroke_than_a_digit_has_makes_it_doubtful():
    whole = cuts.whole(two_bars())
    assert ways.too_much(whole, answer(1, 0.999))
    assert not ways.too_much(whole, answer(0, 0.999))
