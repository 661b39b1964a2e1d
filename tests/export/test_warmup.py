"""Warm-up requests: every signature, several batch sizes, replayable as a server replays them."""

from tensorflow_serving.apis import prediction_log_pb2

from digits import wire
from digits.export.warmup import BATCHES, PICTURES, records
from tests._digits import digits
from tests._release import lines

IMAGES, LABELS = digits(32, seed=6)
LINES = [*lines(40, 1).images, *lines(75, 1).images]


def parsed(images):
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records(images, LINES)]


def test_every_signature_is_warmed_at_several_batch_sizes():
    seen = []
    for log in parsed(IMAGES):
        if log.WhichOneof("log_type") == "classify_log":
            request = log.classify_log.request
            seen.append((request.model_spec.signature_name, len(request.input.example_list.examples)))
        else:
            request = log.predict_log.request
            signature = request.model_spec.signature_name
            assert set(request.inputs) == set(wire.INPUTS[signature])
            (size,) = {value.tensor_shape.dim[0].size for value in request.inputs.values()}
            seen.append((signature, size))
    files = (wire.ENCODED, wire.CLASSIFY, wire.LINES_ENCODED)
    expected = [(name, n) for name in (wire.PIXELS, wire.LINES) for n in BATCHES]
    expected += [(name, n) for name in files for n in BATCHES if n <= PICTURES]
    assert sorted(seen) == sorted(expected) and len({n for _, n in seen}) == len(BATCHES)


def test_equal_images_give_equal_bytes_and_few_images_are_repeated():
    assert records(IMAGES, LINES) == records(IMAGES.copy(), LINES)
    assert len(records(IMAGES[:1], LINES[:1])) == len(records(IMAGES, LINES))
