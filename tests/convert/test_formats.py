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


@pytest.mark.parametrize(
    ("before", "after", "n", "most", "refused"),
    [
        (4980, 4979, 5001, 0.02, False),
        (4980, 4978, 5001, 0.02, True),
        (4980, 4970, 5001, 0.2, False),
        (4980, 4969, 5001, 0.2, True),
        (4980, 4990, 5001, 0.02, False),
        (328, 327, 330, 0.02, False),
        (328, 326, 330, 0.02, True),
    ],
)
def test_more_points_than_allowed_are_refused_and_a_single_image_is_forgiven(before, after, n, most, refused):
    reason = judged(before, after, n, most)
    assert (reason is not None) == refused
    if reason:
        assert f"on {n:,} validation images, at most {most:g} allowed" in reason


def test_figures_are_of_the_calibrated_probabilities_and_no_numbers_are_refused():
    labels = np.arange(10, dtype=np.uint8)
    expected = softmax(logits(labels), 2.0)
    found = compare(logits(labels), ANSWER, expected, labels)
    nothing = {
        "agreement": 1.0,
        "accuracy": 1.0,
        "points_lost": 0.0,
        "difference": 0.0,
        "same_acceptance": 1.0,
    }
    assert found.figures() == nothing
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
