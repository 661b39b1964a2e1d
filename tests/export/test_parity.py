"""The proof at the end of an export: quiet about a true copy, loud about every kind of false one."""

import numpy as np
import pytest
import tensorflow as tf

from digits import wire
from digits.export import parity
from digits.export.parity import MANNERS, disagreements, unlike_empty
from digits.export.signatures import endpoints
from tests._digits import digits
from tests._nearest import nearest
from tests._release import line_reader
from tests.export._called import line_endpoints, traced

IMAGES, LABELS = digits(60, seed=7)
THRESHOLD = 0.8


@pytest.fixture(scope="module")
def expected():
    return tf.nn.softmax(nearest()(IMAGES, training=False)).numpy()


@pytest.fixture(scope="module")
def functions():
    model = nearest()
    made = endpoints(lambda images: model(images, training=False), 1.0, THRESHOLD, 16_000_000)
    return traced(made | line_endpoints(line_reader(), 16_000_000))


def test_a_true_copy_passes_and_other_probabilities_none_and_another_threshold_are_found(
    functions, expected, monkeypatch
):
    assert disagreements(functions, IMAGES[:20], expected[:20], THRESHOLD) == []
    monkeypatch.setattr(parity, "MANNERS", {})  # pixels and empty batches alone are compared
    (found,) = disagreements(functions, IMAGES, expected + np.float32(1e-4), THRESHOLD)
    assert "off the model's probabilities" in found
    assert disagreements(functions, IMAGES, np.full_like(expected, np.nan), THRESHOLD)
    (found,) = disagreements(functions, IMAGES, expected, 0.5)
    assert "threshold of 0.5" in found


def shifted(output):
    return lambda answers: answers | {output: tf.roll(answers[output], 1, 0)}


@pytest.mark.parametrize(
    ("signature", "change", "manners", "says"),
    [
        *((wire.PIXELS, shifted(o), 0, o) for o in (wire.DIGIT, wire.CONFIDENCE, wire.ACCEPTED)),
        (wire.ENCODED, shifted(wire.DIGIT), len(MANNERS), wire.ENCODED),  # pictures read as other digits
    ],
)
def test_outputs_that_do_not_fit_are_found(
    functions, expected, monkeypatch, signature, change, manners, says
):
    monkeypatch.setattr(parity, "PICTURES", 10)
    monkeypatch.setattr(parity, "MANNERS", MANNERS if manners else {})
    broken = functions | {signature: lambda **tensors: change(dict(functions[signature](**tensors)))}
    found = disagreements(broken, IMAGES, expected, THRESHOLD)
    assert len(found) == max(manners, 1) and all(says in line for line in found)


OUTPUTS = [(wire.CLASSIFY, wire.SCORES), (wire.LINES, wire.COLUMNS), (wire.LINES, wire.TEXT)]


@pytest.mark.parametrize(("signature", "output"), OUTPUTS)
def test_an_empty_batch_answered_in_another_shape_is_found(functions, signature, output):
    def other(**tensors):
        answers = dict(functions[signature](**tensors))
        return answers | {output: tf.reshape(answers[output], [0, 1, 1])}

    assert unlike_empty(functions) == []
    (found,) = unlike_empty(functions | {signature: other})
    assert f"{signature} answers an empty batch" in found
