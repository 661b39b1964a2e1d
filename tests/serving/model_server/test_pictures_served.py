"""The exported signatures behind the embedded server: every kind of picture, and those that mean harm."""

import base64

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from digits import saved_model, wire
from digits.export import warmup
from digits_client import BadRequest, DigitClient
from tests._digits import digits
from tests._pictures import encode, kinds, png_claiming
from tests.serving._server import Server
from tests.serving.model_server._calls import classification, stub
from tests.test_saved_model import saved


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    directory = saved(tmp_path_factory.mktemp("exported") / "digits" / "1")
    saved_model.add_extra(directory, warmup.records(digits(32, seed=4)[0]), {"dataset": "synthetic"})
    return directory


@pytest.fixture(scope="module")
def offline(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    with Server(log, "--model_name=digits", f"--model_base_path={exported.parent}") as made:
        yield made
        assert made.process.poll() is None, f"a test ended the server: {made.text()}"


@pytest.fixture(scope="module", params=["grpc", "rest"])
def reader(server, request):
    port = server.port if request.param == "grpc" else server.rest_port
    with DigitClient(f"127.0.0.1:{port}", request.param, timeout=60) as made:
        yield made


def test_pixels_and_every_kind_of_picture_answer_as_offline(reader, offline):
    images = digits(40, seed=7)[0]
    files = list(kinds(images[2]).values())
    for answer, expected in (
        (reader.predict(images), offline[wire.PIXELS](images=tf.constant(images))),
        (reader.predict_bytes(files), offline[wire.ENCODED](image_bytes=tf.constant(files))),
    ):
        assert answer.version == 1
        assert [each.digit for each in answer] == expected[wire.DIGIT].numpy().tolist()
        got = np.array([each.probabilities for each in answer])
        np.testing.assert_allclose(got, expected[wire.PROBABILITIES].numpy(), atol=1e-5)


def test_a_bad_picture_is_refused_with_its_reason_undecoded_and_does_not_lose_the_others(reader, server):
    good, memory = kinds(digits(3, seed=7)[0][2])["black on white"], server.memory()
    large = png_claiming(20_000, 20_000)
    found = reader.predict_bytes([good, b"nonsense", large, good], on_error="return")
    assert isinstance(found[1], BadRequest) and found[0].digit == found[3].digit
    assert "is 20000 pixels wide and 20000 high" in str(found[2])
    assert server.memory() < memory + 100


def test_the_classify_api_answers_as_pixels_do(server, offline):
    files = [encode(Image.fromarray(image)) for image in digits(5, seed=9)[0]]
    request = classification(wire.MODEL, wire.CLASSIFY, None)
    request.input.example_list.examples.extend(warmup.example(file) for file in files)
    expected = offline[wire.ENCODED](image_bytes=tf.constant(files))[wire.PROBABILITIES].numpy()
    with stub(server) as client:
        answer = client.Classify(request, timeout=30)
    listed = [[each.score for each in row.classes] for row in answer.result.classifications]
    np.testing.assert_allclose(listed, expected, atol=1e-5)
    assert [each.label for each in answer.result.classifications[0].classes] == list("0123456789")
    examples = [{wire.EXAMPLE_KEY: {"b64": base64.b64encode(file).decode()}} for file in files]
    body = {"signature_name": wire.CLASSIFY, "examples": examples}
    status, rest = server.rest("/v1/models/digits:classify", body)
    assert status == 200
    np.testing.assert_allclose([[score for _, score in row] for row in rest["results"]], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((2, 27, 28), int), "not compatible with expected shape"),
        (np.zeros((28, 28), int), "not compatible with expected shape"),
        (np.full((1, 28, 28), 0.5), "not of expected type: uint8"),
    ],
)
def test_a_wrong_shape_or_type_is_refused_and_the_server_lives(server, images, said):
    status, answer = server.rest("/v1/models/digits:predict", {"inputs": images.tolist()})
    assert status == 400 and said in answer["error"].replace("Shape", "shape")
    assert server.rest("/v1/models/digits:predict", {"instances": [[[0] * 28] * 28]})[0] == 200
