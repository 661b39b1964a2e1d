"""The signatures of digits, saved and served as servers do: names, shapes, guards, one answer for all."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from digits import non_digits, saved_model, wire
from digits.evaluate import selective
from digits.export.signatures import endpoints
from digits.export.warmup import example
from digits.ink import has_ink
from tests._digits import digits
from tests._nearest import nearest
from tests._pictures import encode, hostile, page
from tests.export._called import asking, save

IMAGES, LABELS = digits(60, seed=5)
TEMPERATURE, THRESHOLD = 1.7, 0.9


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = nearest()
    asked = endpoints(lambda images: model(images, training=False), TEMPERATURE, THRESHOLD, 1_000_000)
    return save(tmp_path_factory.mktemp("model") / "1", asked, model)


@pytest.fixture(scope="module")
def served(saved):
    return asking(saved)


def test_pixels_answer_as_the_model_does_with_the_temperature_and_the_threshold(served, saved):
    answers = served(wire.PIXELS, IMAGES)
    logits = nearest()(IMAGES, training=False).numpy() / TEMPERATURE
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert answers[wire.PROBABILITIES] == pytest.approx(expected, abs=1e-5)
    assert (answers[wire.DIGIT] == expected.argmax(1)).all()
    assert (answers[wire.CONFIDENCE] == answers[wire.PROBABILITIES].max(1)).all()
    assert (answers[wire.ACCEPTED] == (answers[wire.CONFIDENCE] >= np.float32(THRESHOLD))).all()
    assert 0 < answers[wire.ACCEPTED].sum() < len(IMAGES)
    again = served(wire.PIXELS, IMAGES)[wire.PROBABILITIES]  # dropout stayed behind
    assert (again == answers[wire.PROBABILITIES]).all()
    assert saved_model.unservable(saved_model.read_graph(saved)) == []


@pytest.mark.parametrize(("threshold", "accepted"), [(0.0, True), (1.01, False)])
def test_the_lowest_threshold_accepts_all_with_ink_and_the_highest_none(threshold, accepted):
    logits = tf.constant([[0.0] * 10, [1000.0] + [0.0] * 9])
    images = np.stack([IMAGES[0], IMAGES[1]])
    pixels = endpoints(lambda _: logits, 1.0, threshold, 100)[wire.PIXELS]
    assert (pixels(tf.constant(images))[wire.ACCEPTED].numpy() == accepted).all()
    images[1] = 0
    answers = pixels(tf.constant(images))
    assert answers[wire.ACCEPTED].numpy().tolist() == [accepted, False]
    assert (answers[wire.CONFIDENCE][1], answers[wire.DIGIT][1]) == (1, 0), "nothing else changes"


def test_what_is_served_is_accepted_as_it_is_scored():
    model, low = nearest(), 0.15
    empty = [non_digits.make("empty", 60, 1, family=family) for family in ("seen", "unseen")]
    images = np.concatenate([IMAGES, *empty])
    pixels = endpoints(lambda shown: model(shown, training=False), TEMPERATURE, low, 100)[wire.PIXELS]
    answers = {name: value.numpy() for name, value in pixels(tf.constant(images)).items()}
    logits = model(images, training=False).numpy()
    scored = selective.accepted(logits, has_ink(images).numpy(), TEMPERATURE, low)
    assert (answers[wire.ACCEPTED] == scored).all()
    assert (answers[wire.ACCEPTED] != (answers[wire.CONFIDENCE] >= low)).any()


def test_pictures_and_examples_answer_as_pixels_do(served):
    files = [encode(Image.fromarray(image)) for image in IMAGES]
    by_pixels = served(wire.PIXELS, IMAGES)
    by_file = served(wire.ENCODED, files)
    by_example = served(wire.CLASSIFY, [example(file).SerializeToString() for file in files])
    assert by_file[wire.PROBABILITIES] == pytest.approx(by_pixels[wire.PROBABILITIES], abs=1e-5)
    assert by_example[wire.SCORES] == pytest.approx(by_pixels[wire.PROBABILITIES], abs=1e-5)
    assert by_example[wire.CLASSES].tolist() == [[str(d).encode() for d in range(10)]] * len(IMAGES)


def test_a_refusal_still_tells_its_reason_through_classify(served):
    good, (cut, reason) = example(encode(page(IMAGES[0]))).SerializeToString(), hostile()["cut png"]
    for sent, says in (
        (example(cut).SerializeToString(), reason),
        (tf.train.Example().SerializeToString(), wire.EXAMPLE_KEY),
        (b"no example", "Could not parse example"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=says):
            served(wire.CLASSIFY, [good, sent])
