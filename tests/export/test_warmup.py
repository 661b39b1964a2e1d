"""Warm-up requests: every signature, several batch sizes, replayable as a server replays them."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from digits import wire
from digits.export.signatures import endpoints, trace
from digits.export.warmup import BATCHES, PICTURES, records
from tests._digits import digits
from tests._nearest import nearest

IMAGES, LABELS = digits(32, seed=6)


def parsed(images):
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records(images)]


def test_every_signature_is_warmed_at_several_batch_sizes():
    seen = []
    for log in parsed(IMAGES):
        if log.WhichOneof("log_type") == "classify_log":
            request = log.classify_log.request
            seen.append((request.model_spec.signature_name, len(request.input.example_list.examples)))
        else:
            request = log.predict_log.request
            ((alias, value),) = request.inputs.items()
            assert alias in wire.INPUTS[request.model_spec.signature_name]
            seen.append((request.model_spec.signature_name, value.tensor_shape.dim[0].size))
    expected = [(wire.PIXELS, n) for n in BATCHES]
    expected += [(name, n) for name in (wire.ENCODED, wire.CLASSIFY) for n in BATCHES if n <= PICTURES]
    assert sorted(seen) == sorted(expected) and len({n for _, n in seen}) == len(BATCHES)


def test_a_model_answers_them_rightly():
    model = nearest()
    functions = trace(endpoints(lambda images: model(images, training=False), 1.0, 0.9, 1_000_000))
    for log in parsed(IMAGES):
        if log.WhichOneof("log_type") == "classify_log":
            examples = [e.SerializeToString() for e in log.classify_log.request.input.example_list.examples]
            digit = functions[wire.CLASSIFY](tf.constant(examples))[wire.SCORES].numpy().argmax(1)
        else:
            request = log.predict_log.request
            ((_, value),) = request.inputs.items()
            tensor = tf.constant(tf.make_ndarray(value))
            digit = functions[request.model_spec.signature_name](tensor)[wire.DIGIT].numpy()
        assert np.mean(digit == LABELS[: len(digit)]) >= 0.9


def test_equal_images_give_equal_bytes_and_few_images_are_repeated():
    assert records(IMAGES) == records(IMAGES.copy())
    assert len(records(IMAGES[:1])) == len(records(IMAGES))
