"""Lines behind the embedded server: alone, beside wider ones, and in batches of several clients; pictures."""

import concurrent.futures
import contextlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc

from digits import saved_model, wire
from digits.export import warmup
from digits.export.admission import LineFit
from digits.export.lines import endpoints
from digits.export.signatures import trace
from digits_client import BadRequest, DigitClient
from serving.checks import golden
from tests._digits import digits
from tests._pictures import kinds, png_claiming
from tests._release import LINE_FIT, line_reader, lines
from tests.serving._server import Server
from tests.test_saved_model import saved

LINES = [line for width in (29, 64, 101, 180) for line in lines(width, 3).images]
PAUSE = "batch_timeout_micros { value: 20000 }\nnum_batch_threads { value: 1 }\n"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, directory = line_reader(), tmp_path_factory.mktemp("exported") / "digits" / "1"
    functions = endpoints(lambda shown, width: model([shown, width]), LineFit(**LINE_FIT), 1_000_000)
    saved_model.save(directory, trace(functions), [variable.value for variable in model.variables])
    return directory


@pytest.fixture(scope="module")
def alone(exported):
    """The answer of the model itself to each line by itself."""
    model = tf.saved_model.load(str(exported)).signatures[wire.LINES]
    answers = [model(lines=tf.constant(line[None]), width=tf.constant([line.shape[1]])) for line in LINES]
    return [{name: value.numpy()[0] for name, value in answer.items()} for answer in answers]


@contextlib.contextmanager
def serving(folder, version, *flags):
    with Server(folder / "log", "--model_name=digits", f"--model_base_path={version.parent}", *flags) as made:
        yield made
        assert made.process.poll() is None, f"a test ended the server: {made.text()}"


@pytest.fixture(scope="module", params=["apart", pytest.param("joined", marks=pytest.mark.slow), "filled up"])
def server(exported, tmp_path_factory, request):
    folder, flags = tmp_path_factory.mktemp("server"), []
    if request.param != "apart":
        pad = "pad_variable_length_inputs: true\n" if request.param == "filled up" else ""
        (folder / "batching").write_text(PAUSE + pad)
        flags = ["--enable_batching=true", f"--batching_parameters_file={folder / 'batching'}"]
    with serving(folder, exported, *flags) as made:
        yield made


def connect(server, kind):
    port = server.port if kind == "grpc" else server.rest_port
    return DigitClient(f"127.0.0.1:{port}", kind, timeout=60)


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(server, request):
    with connect(server, request.param) as made:
        yield made


def same(read, expected):
    assert read.text == expected[wire.TEXT].decode() and read.written == expected[wire.WRITTEN].decode()
    assert read.accepted == expected[wire.ACCEPTED]
    assert read.confidence == pytest.approx(expected[wire.CONFIDENCE], abs=1e-5)
    np.testing.assert_allclose(read.columns, expected[wire.COLUMNS], atol=1e-5)
    n = len(read.characters)
    probabilities = [each.probability for each in read.characters]
    np.testing.assert_allclose(probabilities, expected[wire.PROBABILITY][:n], atol=1e-5)
    np.testing.assert_allclose([c.position for c in read.characters], expected[wire.POSITION][:n], rtol=1e-5)


def test_padding_must_not_change_an_answer(client, alone):
    """In one request, and in many at once, which a server with batching joins."""
    for read, expected in zip(client.predict_lines(LINES), alone, strict=True):
        same(read, expected)
    order = [*range(len(LINES))] * 3
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda place: client.predict_lines([LINES[place]]), order))
    for place, (read,) in zip(order, answers, strict=True):
        same(read, alone[place])


def test_pictures_of_lines_answer_as_their_pixels_and_bad_ones_cost_the_others_nothing(client, alone):
    files = [warmup.encoded(line) for line in LINES]
    answer = client.predict_line_pictures([*files, b"GIF89a", files[0][:60]], on_error="return")
    for read, expected in zip(answer[: len(LINES)], alone, strict=True):
        same(read, expected)
    assert [type(each) for each in answer[len(LINES) :]] == [BadRequest] * 2


def test_a_bad_request_among_others_fails_alone(server, alone):
    """Widths beyond the line, a wrong height and no line at all, while others are answered."""
    some = np.repeat(LINES[0][None], 2, 0)
    width = np.array([29, 29], np.int32)
    bad = [
        (some, np.array([29, 30]), r"width\[1\] is 30"),
        (some[:, 1:], width, "32"),
        (some, width[:1], "0th-dimension|width has 1 numbers for 2 lines"),
    ]
    good = (LINES[3][None], np.array([64], np.int32), None)
    empty = (some[:0], width[:0], None)
    with grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def ask(case):
            lines, width, _ = case
            inputs = {wire.LINE_IMAGES: lines, wire.WIDTH: np.asarray(width, np.int32)}
            return stub.Predict.future(golden.predict_request("digits", wire.LINES, inputs), timeout=60)

        cases = [good, *bad, empty, good] * 3
        for case, call in [(case, ask(case)) for case in cases]:
            if case[2] is None:
                answer = golden.of_predict(call.result())
                assert [*answer[wire.TEXT]] == [alone[3][wire.TEXT]] * len(case[0])
                continue
            with pytest.raises(grpc.RpcError, match=case[2]) as refused:
                call.result()
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_bad_picture_is_refused_with_its_reason_undecoded_and_does_not_lose_the_others(tmp_path):
    images, labels = digits(3, seed=7)
    good, large = kinds(images[2])["black on white"], png_claiming(20_000, 20_000)
    with serving(tmp_path, saved(tmp_path / "digits" / "1")) as server:
        for kind in ("grpc", "rest"):
            with connect(server, kind) as client:
                memory = server.memory()
                found = client.predict_bytes([good, b"nonsense", large, good], on_error="return")
                assert isinstance(found[1], BadRequest) and found[0].digit == found[3].digit == labels[2]
                assert "is 20000 pixels wide and 20000 high" in str(found[2])
                assert server.memory() < memory + 100
