"""The threshold comes from validation; the test images only meet it."""

import numpy as np
import pytest

from bench import withheld
from digits.dataset import Split

RNG = np.random.default_rng(1)


def split(n):
    images = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = np.arange(n) % 10  # which digit it is
    return Split(images, images[:, 0, 0].copy(), np.full(n, "x"))


def read(images):
    """Sure of everything, right but for images whose second pixel is 255, of which it is less sure."""
    logits = np.zeros((len(images), 10), np.float32)
    off = images[:, 0, 1] == 255
    logits[np.arange(len(images)), (images[:, 0, 0] + off) % 10] = np.where(off, 2.0, 9.0)
    return logits


@pytest.fixture(scope="module")
def told():
    validation, test = split(400), split(200)
    validation.images[:, 0, 1] = test.images[:, 0, 1] = 0
    validation.images[:8, 0, 1] = test.images[:20, 0, 1] = 255
    return withheld.abstention(read, validation, test, 1.0)


def test_the_answers_that_validation_calls_unsure_are_withheld(told):
    given = told["abstention"]
    assert (given["n"], given["answered"], given["correct"]) == (200, 180, 180)
    assert given["target"] == 0.9995


def test_every_kind_of_picture_without_a_digit_is_asked_about(told):
    from digits.non_digits import KINDS

    assert set(told["refused"]) == set(KINDS)
    assert all(0 <= share <= 1 for share in told["refused"].values())
