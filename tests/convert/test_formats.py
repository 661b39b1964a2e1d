"""A format beside the exported model: the figures, and where the line is."""

import numpy as np
import pytest

from digits.convert.formats import compare, refusal, softmax

ANSWER = {"temperature": 2.0, "threshold": 0.9, "normalization": "canonical"}


def logits(digits, strength=20.0):
    return (np.eye(10)[digits] * strength).astype(np.float32)


def judged(right_before, right_after, n, most):
    """Why a format with `right_after` of n images right is refused, the exported model has `right_before`."""
    labels = np.zeros(n, np.uint8)
    before, after = ((np.arange(n) >= right).astype(int) for right in (right_before, right_after))
    found = compare(logits(after), ANSWER, softmax(logits(before), 2.0), labels)
    assert found.accuracy == pytest.approx(right_after / n)
    return refusal(found, n, most)


def test_more_points_than_allowed_are_refused_and_a_single_image_is_forgiven():
    many, few = (4980, 5001), (328, 330)  # right before, of as many
    allowed = [(4979, many, 0.02), (4970, many, 0.2), (4990, many, 0.02), (327, few, 0.02)]
    for after, (before, n), most in allowed:
        assert judged(before, after, n, most) is None
    for after, (before, n), most in ((4978, many, 0.02), (4969, many, 0.2), (326, few, 0.02)):
        reason = judged(before, after, n, most)
        assert f"on {n:,} validation images, at most {most:g} allowed" in reason


def test_figures_are_of_the_calibrated_probabilities_and_no_numbers_are_refused():
    labels = np.arange(10, dtype=np.uint8)
    expected = softmax(logits(labels), 2.0)
    found = compare(logits(labels), ANSWER, expected, labels)
    alike, off = ("agreement", "accuracy", "same_acceptance"), ("points_lost", "difference")
    assert found.figures() == dict.fromkeys(alike, 1.0) | dict.fromkeys(off, 0.0)
    assert refusal(found, 10, 0.0) is None
    weaker = logits(labels)
    weaker[0] /= 4
    found = compare(weaker, ANSWER, expected, labels)
    assert found.agreement == 1.0
    assert found.difference == pytest.approx(expected[0, 0] - softmax(weaker, 2.0)[0, 0], abs=1e-6)
    assert found.same_acceptance == 0.9, "one answer is below the threshold in the format alone"
    weaker[3, 3] = np.nan
    found = compare(weaker, ANSWER, expected, labels)
    assert "no numbers" in refusal(found, 10, 100.0)
    assert "difference" not in found.figures()
