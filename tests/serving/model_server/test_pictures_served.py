"""The exported signatures behind the embedded server: every kind of picture, and those that mean harm."""

import base64
import io

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from digits import wire
from digits.export import warmup
from digits_client import BadRequest, DigitClient
from tests._digits import digits
from tests._pictures import encode, hostile, kinds
from tests.serving._server import Server
from tests.test_saved_model import saved


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    from digits import saved_model

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
def client(server, request):
    port = server.port if request.param == "grpc" else server.rest_port
    with DigitClient(f"127.0.0.1:{port}", request.param, timeout=60) as made:
        yield made


def test_pixels_answer_as_offline(client, offline):
    images = digits(40, seed=7)[0]
    answer = client.predict(images)
    expected = offline[wire.PIXELS](images=tf.constant(images))
    assert answer.version == 1
    assert [each.digit for each in answer] == expected[wire.DIGIT].numpy().tolist()
    got = np.array([each.probabilities for each in answer])
    np.testing.assert_allclose(got, expected[wire.PROBABILITIES].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", sorted(kinds(np.zeros((28, 28), np.uint8) + 9)))
def test_every_kind_of_picture_answers_as_offline(client, offline, kind):
    file = kinds(digits(3, seed=7)[0][2])[kind]
    expected = offline[wire.ENCODED](image_bytes=tf.constant([file]))
    (got,) = client.predict_bytes([file])
    assert got.digit == int(expected[wire.DIGIT][0])
    assert got.confidence == pytest.approx(float(expected[wire.CONFIDENCE][0]), abs=1e-5)


@pytest.mark.parametrize("name", sorted(hostile()))
def test_a_bad_picture_is_refused_with_its_reason(client, name):
    file, said = hostile()[name]
    with pytest.raises(BadRequest, match=said if file else "is empty"):  # the client does not send nothing
        client.predict_bytes([file])


def test_a_valid_picture_of_four_hundred_million_pixels_is_refused_undecoded(client, server):
    stream = io.BytesIO()
    Image.MAX_IMAGE_PIXELS, before = None, Image.MAX_IMAGE_PIXELS
    Image.new("1", (20_000, 20_000), 1).save(stream, "PNG")
    Image.MAX_IMAGE_PIXELS = before
    assert len(stream.getvalue()) < 1_000_000
    memory = server.memory()
    with pytest.raises(BadRequest, match="is 20000 pixels wide and 20000 high"):
        client.predict_bytes([stream.getvalue()])
    assert server.memory() < memory + 100


def test_one_bad_picture_does_not_lose_the_others(client):
    good = kinds(digits(3, seed=7)[0][2])["black on white"]
    found = client.predict_bytes([good, b"nonsense", good], on_error="return")
    assert isinstance(found[1], BadRequest) and found[0].digit == found[2].digit


def test_the_classify_api_answers_as_pixels_do(server, offline):
    files = [encode(Image.fromarray(image)) for image in digits(5, seed=9)[0]]
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = wire.MODEL, wire.CLASSIFY
    request.input.example_list.examples.extend(warmup.example(file) for file in files)
    expected = offline[wire.ENCODED](image_bytes=tf.constant(files))[wire.PROBABILITIES].numpy()
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request, timeout=30)
    listed = [[each.score for each in row.classes] for row in answer.result.classifications]
    np.testing.assert_allclose(listed, expected, atol=1e-5)
    assert [each.label for each in answer.result.classifications[0].classes] == list("0123456789")
    examples = [{wire.EXAMPLE_KEY: {"b64": base64.b64encode(file).decode()}} for file in files]
    body = {"signature_name": wire.CLASSIFY, "examples": examples}
    status, rest = server.rest("/v1/models/digits:classify", body)
    assert status == 200
    got = [[score for _, score in row] for row in rest["results"]]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 27, 28), np.uint8), np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28, 1), np.uint8)],
)
def test_a_wrong_shape_is_refused_and_the_server_lives(server, images):
    status, answer = server.rest("/v1/models/digits:predict", {"inputs": images.tolist()})
    assert status == 400 and "not compatible with expected shape" in answer["error"].replace("Shape", "shape")
    assert server.rest("/v1/models/digits:predict", {"instances": [[[0] * 28] * 28]})[0] == 200


def test_floats_are_refused_rather_than_misread(server):
    status, answer = server.rest("/v1/models/digits:predict", {"instances": [[[0.5] * 28] * 28]})
    assert status == 400 and "not of expected type: uint8" in answer["error"]
