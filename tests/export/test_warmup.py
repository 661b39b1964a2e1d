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


def test_every_signature_is_warmed_at_several_batch_sizes_and_a_model_answers_rightly():
    model, seen = nearest(), []
    functions = trace(endpoints(lambda images: model(images, training=False), 1.0, 0.9, 1_000_000))
    for record in records(IMAGES):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") == "classify_log":
            request = log.classify_log.request
            sent = tf.constant([e.SerializeToString() for e in request.input.example_list.examples])
        else:
            request = log.predict_log.request
            ((alias, value),) = request.inputs.items()
            assert alias in wire.INPUTS[request.model_spec.signature_name]
            sent = tf.constant(tf.make_ndarray(value))
        name = request.model_spec.signature_name
        answers = functions[name](sent)
        digit = (
            answers[wire.SCORES].numpy().argmax(1) if name == wire.CLASSIFY else answers[wire.DIGIT].numpy()
        )
        assert np.mean(digit == LABELS[: len(digit)]) >= 0.9
        seen.append((name, len(digit)))
    expected = [(wire.PIXELS, n) for n in BATCHES]
    expected += [(name, n) for name in (wire.ENCODED, wire.CLASSIFY) for n in BATCHES if n <= PICTURES]
    assert sorted(seen) == sorted(expected)
    assert len(records(IMAGES[:1])) == len(seen), "few images are repeated"
