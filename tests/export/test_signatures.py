"""The signatures of digits, saved and served as servers do: names, shapes, guards, one answer for all."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from digits import non_digits, saved_model, wire
from digits.evaluate import selective
from digits.export.signatures import endpoints, trace
from digits.export.warmup import example
from digits.ink import has_ink
from tests._digits import digits
from tests._nearest import nearest
from tests._pictures import encode, hostile, page

IMAGES, LABELS = digits(60, seed=5)
TEMPERATURE, THRESHOLD = 1.7, 0.9
SIGNATURES = (wire.PIXELS, wire.ENCODED, wire.CLASSIFY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = nearest()
    asked = endpoints(lambda images: model(images, training=False), TEMPERATURE, THRESHOLD, 1_000_000)
    directory = tmp_path_factory.mktemp("model") / "1"
    saved_model.save(directory, trace(asked), [variable.value for variable in model.variables])
    return directory


@pytest.fixture(scope="module")
def served(saved):
    signatures = tf.saved_model.load(str(saved)).signatures

    def call(signature, value):
        ((alias, (dtype, _)),) = wire.INPUTS[signature].items()
        answers = signatures[signature](**{alias: tf.constant(value, dtype)})
        return {name: tensor.numpy() for name, tensor in answers.items()}

    return call


def test_the_saved_signatures_are_those_of_the_wire_contract(saved):
    signatures = saved_model.read_graph(saved).meta_graphs[0].signature_def
    for name in SIGNATURES:
        assert signatures[name].method_name == wire.METHODS[name]
        for named, told in ((wire.INPUTS, signatures[name].inputs), (wire.OUTPUTS, signatures[name].outputs)):
            found = {
                alias: (
                    tf.dtypes.as_dtype(info.dtype).name,
                    tuple(d.size if d.size >= 0 else None for d in info.tensor_shape.dim),
                )
                for alias, info in told.items()
            }
            assert found == named[name]


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


@pytest.mark.parametrize("signature", SIGNATURES)
def test_an_empty_batch_has_empty_answers(served, signature):
    empty = np.zeros((0, 28, 28), np.uint8) if signature == wire.PIXELS else []
    answers = served(signature, empty)
    shapes = {alias: (0, *shape[1:]) for alias, (_, shape) in wire.OUTPUTS[signature].items()}
    assert {alias: value.shape for alias, value in answers.items()} == shapes


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (example(hostile()["cut png"][0]).SerializeToString(), hostile()["cut png"][1]),
        (tf.train.Example().SerializeToString(), wire.EXAMPLE_KEY),
        (b"no example", "Could not parse example"),
    ],
)
def test_a_refusal_still_tells_its_reason_through_classify(served, sent, says):
    good = example(encode(page(IMAGES[0]))).SerializeToString()
    with pytest.raises(tf.errors.InvalidArgumentError, match=says):
        served(wire.CLASSIFY, [good, sent])


@pytest.mark.slow
def test_a_wrong_shape_or_type_fed_by_name_fails_the_request_and_not_the_process(saved):
    """As C++ servers run a model: a session, tensors by name, no check of shapes before."""
    script = f"""
        import numpy as np, tensorflow as tf
        from tensorflow.core.protobuf import config_pb2
        v1 = tf.compat.v1
        with v1.Session(graph=tf.Graph()) as session:
            signatures = v1.saved_model.loader.load(session, ["serve"], {str(saved)!r}).signature_def

            def ask(signature, value):
                told = signatures[signature]
                feed, fetch = ([i.name for i in part.values()][:1] for part in (told.inputs, told.outputs))
                options = config_pb2.CallableOptions(feed=feed, fetch=fetch)
                return session._make_callable_from_options(options)(value)

            shapes = [(), (784,), (28, 28), (2, 27, 28), (2, 28, 28, 1)]
            wrong = [np.zeros(shape, np.uint8) for shape in shapes]
            wrong += [np.zeros((2, 28, 28), np.float32), np.full((28, 28), 0.5)]
            texts = [np.array(text, object) for text in (b"x", [[b"x"]])]
            cases = [("serving_default", value) for value in wrong]
            cases += [(name, text) for name in ("encoded", "classify") for text in texts]
            for signature, value in cases:
                try:
                    ask(signature, value)
                except tf.errors.InvalidArgumentError:
                    continue
                raise SystemExit(f"{{signature}} took {{value.dtype}} {{value.shape}}")
            ask("serving_default", np.zeros((2, 28, 28), np.uint8))
            print("alive")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-2000:]
