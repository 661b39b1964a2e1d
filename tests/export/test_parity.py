"""The proof at the end of an export: quiet about a true copy, loud about every kind of false one."""

import numpy as np
import pytest
import tensorflow as tf

from digits import wire
from digits.export import parity
from digits.export.parity import MANNERS, disagreements
from digits.export.signatures import endpoints, trace
from tests._digits import digits
from tests._nearest import nearest

IMAGES, LABELS = digits(60, seed=7)
THRESHOLD = 0.8


@pytest.fixture(scope="module")
def expected():
    return tf.nn.softmax(nearest()(IMAGES, training=False)).numpy()


@pytest.fixture(scope="module")
def functions():
    """As a loaded SavedModel's signatures: called by keyword."""
    model = nearest()
    made = trace(endpoints(lambda images: model(images, training=False), 1.0, THRESHOLD, 16_000_000))

    def by_keyword(function):
        return lambda **tensors: function(*tensors.values())

    return {name: by_keyword(function) for name, function in made.items()}


def broken(functions, name, change):
    def call(**tensors):
        return change(dict(functions[name](**tensors)))

    return functions | {name: call}


def test_a_true_copy_is_passed(functions, expected):
    assert disagreements(functions, IMAGES, expected, THRESHOLD) == []


@pytest.fixture
def no_pictures(monkeypatch):
    """Pixels and empty batches alone are compared."""
    monkeypatch.setattr(parity, "MANNERS", {})


@pytest.mark.usefixtures("no_pictures")
def test_other_probabilities_none_and_another_threshold_are_found(functions, expected):
    (found,) = disagreements(functions, IMAGES, expected + np.float32(1e-4), THRESHOLD)
    assert "off the model's probabilities" in found
    assert disagreements(functions, IMAGES, np.full_like(expected, np.nan), THRESHOLD)
    (found,) = disagreements(functions, IMAGES, expected, 0.5)
    assert "threshold of 0.5" in found


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("output", [wire.DIGIT, wire.CONFIDENCE, wire.ACCEPTED])
def test_outputs_that_do_not_fit_together_are_found(functions, expected, output):
    def shifted(answers):
        return answers | {output: tf.roll(answers[output], 1, 0)}

    (found,) = disagreements(broken(functions, wire.PIXELS, shifted), IMAGES, expected, THRESHOLD)
    assert output in found


def test_pictures_read_as_other_digits_are_found_in_every_manner(functions, expected, monkeypatch):
    def shuffled(answers):
        return answers | {wire.DIGIT: tf.roll(answers[wire.DIGIT], 1, 0)}

    monkeypatch.setattr(parity, "PICTURES", 10)
    found = disagreements(broken(functions, wire.ENCODED, shuffled), IMAGES, expected, THRESHOLD)
    assert len(found) == len(MANNERS) and all(wire.ENCODED in line for line in found)


@pytest.mark.usefixtures("no_pictures")
def test_an_empty_batch_answered_in_another_shape_is_found(functions, expected):
    def flat(answers):
        return answers | {wire.SCORES: tf.reshape(answers[wire.SCORES], [-1])}

    (found,) = disagreements(broken(functions, wire.CLASSIFY, flat), IMAGES, expected, THRESHOLD)
    assert "empty batch" in found
