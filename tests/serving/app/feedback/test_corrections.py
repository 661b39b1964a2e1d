"""A request's JSON → a correction, or one line that says what is wrong with it."""

import base64
import hashlib

import numpy as np
import pytest

from digits.ink import has_ink as has_ink_in_the_graph
from digits.runtime.errors import DataError
from serving.app.feedback.corrections import correction, has_ink
from tests.serving.app.feedback._corrections import image, tree


def test_a_whole_request_is_taken_as_it_is():
    made = correction(tree())
    assert made.image == image() and made.digest == hashlib.sha256(image()).hexdigest()
    assert (made.label, made.digit, made.confidence, made.version) == (1, 7, 0.75, 3)
    assert (made.source, made.mode) == ("drawing", "server")
    unknown = correction(tree(digit=None, confidence=None, version=None))
    assert (unknown.digit, unknown.confidence, unknown.version) == (None, None, None)


@pytest.mark.parametrize(
    ("strange", "told"),
    [
        ([], "a correction is a JSON object .* this is a list"),
        (tree(name="x"), "has no 'name'"),
        (tree(image="AAAA"), "has 3 bytes, expected 784"),
        (tree(image=base64.b64encode(bytes(784)).decode()), "blank"),
        (tree(label=10), "label is 10, expected a whole number of 0 to 9"),
        (tree(label=True), "label is True"),
        (tree(confidence=float("nan")), "confidence is a number"),
        (tree(version=2**31), "version is a number"),
        (tree(source="<script>alert(1)</script>"), "source is '<script>alert"),
    ],
)
def test_what_is_strange_is_refused_in_one_line(strange, told):
    with pytest.raises(DataError, match=told) as refused:
        correction(strange)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def test_what_has_too_little_ink_for_retraining_is_refused_and_digits_are_not():
    images = [np.zeros((28, 28), np.uint8) for _ in range(6)]
    images[1][14, 14] = 255  # a speck
    images[2][10:14, 10:14] = 9  # too faint
    images[3][6:22, 13:15] = 40  # faint
    images[4][:] = 255
    images[4][6:22, 13:15] = 0  # black on white
    images[5][:, 13:15] = 255
    told = [has_ink(each.tobytes()) for each in images]
    assert told == [False, False, False, True, True, True]
    assert told == np.asarray(has_ink_in_the_graph(np.stack(images))).tolist()
