"""Upstream's batching, with a real server: its parameter files, queues, sizes, padding, errors."""

import contextlib
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests._ports import free_port
from tests.serving import _models
from tests.serving._server import ROOT, Server, environment

PARAMETERS = """
max_batch_size { value: 8 }
batch_timeout_micros { value: 300000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 2 }
allowed_batch_sizes: 4
allowed_batch_sizes: 8
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return _models.joinable(tmp_path_factory.mktemp("models") / "joinable" / "1").parent


@contextlib.contextmanager
def served(folder, base, parameters=None, *flags):
    folder.mkdir(exist_ok=True)
    flags = ("--model_name=m", f"--model_base_path={base}", "--enable_batching", *flags)
    if parameters is not None:
        (folder / "batching").write_text(parameters)
        flags += (f"--batching_parameters_file={folder / 'batching'}",)
    with Server(folder / "log", *flags) as server:
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(server.target, options=options) as channel:
            yield Client(channel, server)
        assert server.process.poll() is None, server.text()


class Client:
    def __init__(self, channel, server):
        self.stub, self.server = prediction_service_pb2_grpc.PredictionServiceStub(channel), server

    def ask(self, values, signature="", outputs=(), timeout=20.0, name="x", model="m"):
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name, request.model_spec.signature_name = model, signature
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        try:
            answer = self.stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return {alias: tf.make_ndarray(value).tolist() for alias, value in answer.outputs.items()}

    def together(self, *requests):
        """Answers of requests that are sent at the same moment."""
        start = threading.Barrier(len(requests))

        def one(asked):
            start.wait()
            return self.ask(*asked) if isinstance(asked, tuple) else self.ask(asked)

        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(one, requests))


def until_met(ask, expected, times=20):
    """Whether requests sent together are answered as those of one batch: on a busy machine not each time."""
    return any(ask() == expected for _ in range(times))


@pytest.fixture(scope="module")
def client(tmp_path_factory, model):
    with served(tmp_path_factory.mktemp("a"), model, PARAMETERS) as made:
        yield made


def rows(*values):
    return np.array([[value] for value in values], np.float32)


def test_requests_are_run_together_and_filled_up_to_an_allowed_size(client):
    answers = client.together(rows(1), rows(2, 3))
    assert [answer["sum"] for answer in answers] == [[1], [2, 3]]
    assert [answer["rows"] for answer in answers] == [[4], [4, 4]]
    assert client.ask(rows(*range(5)))["rows"] == [8] * 5


def test_rest_requests_are_run_with_those_over_grpc(client):
    body = {"instances": [{"x": [2.0]}]}
    for _ in range(8):  # until it is known to be quick
        client.server.rest("/v1/models/m:predict", body)

    def both():
        with ThreadPoolExecutor(2) as pool:
            over_rest = pool.submit(client.server.rest, "/v1/models/m:predict", body)
            over_grpc = pool.submit(client.ask, rows(1, 2, 3, 4))
            return over_rest.result(), over_grpc.result()["rows"]

    met = until_met(both, ((200, {"predictions": [{"rows": 8, "sum": 2.0}]}), [8] * 4))
    assert met, "they never met in a batch"


def test_another_choice_of_outputs_is_another_queue(client):
    answers = client.together((rows(1), "", ("sum",)), (rows(2), "", ("rows", "sum")))
    assert answers == [{"sum": [1]}, {"sum": [2], "rows": [4]}]
    assert client.ask(rows(1), "", ("sum", "rows")) == {"sum": [1], "rows": [4]}


def test_other_shapes_are_not_joined_without_padding_and_no_stranger_fails_for_them(client):
    answers = client.together(rows(1), np.ones((1, 2), np.float32))
    assert [answer["sum"] for answer in answers] == [[1], [2]]


def test_a_request_beyond_the_batch_size_is_refused(client):
    answer = client.ask(rows(*range(9)))
    assert answer == ("INVALID_ARGUMENT", "Task size 9 is larger than maximum input batch size 8")


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("whole", "Batched output tensor has 0 dimensions"),
        ("first", "Batched output tensor's 0th dimension does not equal the sum"),
    ],
)
def test_outputs_that_are_not_row_by_row_are_refused(client, signature, text):
    code, details = client.ask(rows(1, 2), signature)
    assert code == "FAILED_PRECONDITION" and text in details


def test_one_bad_input_fails_its_own_request_and_not_a_stranger_s(client):
    good, bad, other = client.together(
        *((np.array([text], object), "numbers", ("number",), 20.0, "s") for text in (b"1", b"x", b"3"))
    )
    assert good == {"number": [1]} and other == {"number": [3]}
    assert bad[0] == "INVALID_ARGUMENT" and "could not correctly convert string: x" in bad[1]


def test_strings_are_joined_too(client):
    asked = ((np.array([b"1", b""], object), "numbers", ("twin",), 20.0, "s"),) * 2
    assert client.together(*asked) == [{"twin": [b"1", b""]}] * 2


def test_a_deadline_that_passes_in_the_queue_is_kept(client):
    code, _ = client.ask(rows(1), "", (), 0.05)
    assert code == "DEADLINE_EXCEEDED"


def test_a_flood_beyond_the_queues_is_refused_and_what_is_taken_is_answered(client):
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda value: client.ask(rows(*[value] * 8)), range(200)))
    taken = [(value, answer) for value, answer in enumerate(answers) if isinstance(answer, dict)]
    assert taken and all(answer["sum"] == [value] * 8 for value, answer in taken)
    for answer in answers:
        if not isinstance(answer, dict):
            assert answer[0] == "UNAVAILABLE" and "max_enqueued_batches is 2" in answer[1]


def test_padding_fills_up_with_the_first_value(tmp_path, model):
    with served(tmp_path, model, PARAMETERS + "pad_variable_length_inputs: true") as client:

        def both():
            return [answer["sum"] for answer in client.together(np.array([[1, 2, 3]], np.float32), rows(5))]

        assert until_met(both, [[6.0], [15.0]]), "they never met in a batch"


def test_a_large_request_is_split(tmp_path, model):
    parameters = (
        "max_batch_size { value: 100 } enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 4 }"
    )
    with served(tmp_path, model, parameters) as client:
        answer = client.ask(rows(*range(10)))
        assert answer["sum"] == list(range(10)) and sorted(answer["rows"]) == [2] * 2 + [4] * 8


def test_without_a_file_nothing_waits_and_everything_is_answered(tmp_path, model):
    with served(tmp_path, model) as client, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda value: client.ask(rows(value)), range(400)))
        assert [answer["sum"] for answer in answers] == [[value] for value in range(400)]
        assert client.ask(rows(1))["rows"] == [1]


def test_each_version_can_bring_its_own_parameters(tmp_path, model):
    base = tmp_path / "m"
    for version in ("1", "2"):
        shutil.copytree(model / "1", base / version)
    own = "max_batch_size { value: 3 } allowed_batch_sizes: 3"
    (base / "2" / "batching_params.pbtxt").write_text(own)
    (tmp_path / "models").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" '
        "model_version_policy { all {} } } }"
    )
    flags = (f"--model_config_file={tmp_path / 'models'}", "--enable_per_model_batching_parameters")
    with served(tmp_path, base, PARAMETERS, *flags) as client:
        assert client.ask(rows(1))["rows"] == [3]  # the latest version
        body = {"instances": [{"x": [1.0]}] * 9}
        status, answer = client.server.rest("/v1/models/m/versions/1:predict", body)
        assert status == 200 and [row["rows"] for row in answer["predictions"]] == [9] * 9


def test_batches_are_counted_for_prometheus(tmp_path, model):
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    flag = f"--monitoring_config_file={tmp_path / 'monitoring'}"
    with served(tmp_path, model, PARAMETERS, flag) as client:
        client.together(rows(1), rows(2), rows(3))  # in one batch, unless the machine is busy
        page = str(client.server.rest("/monitoring/prometheus/metrics")[1])
        name = ":tensorflow:serving:batching_session:"
        assert any(f"{name}wrapped_run_count{{}} {runs}\n" in page for runs in (1, 2, 3))
        assert f'{name}queuing_latency_count{{thread_pool_name="model_server_batch_threads"}} 3' in page


@pytest.mark.parametrize(
    ("parameters", "batching", "error"),
    [
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", True, "must match max_batch_size"),
        ("max_batch_size: 8", True, "Error parsing text-format tensorflow.serving.BatchingParameters"),
        (PARAMETERS, False, "batching_parameters_file is set without setting"),
    ],
)
def test_bad_parameters_end_the_start_at_once_with_the_reason(tmp_path, model, parameters, batching, error):
    (tmp_path / "batching").write_text(parameters)
    flags = [f"--port={free_port()}", f"--model_base_path={model}", f"--enable_batching={batching}"]
    flags += [f"--batching_parameters_file={tmp_path / 'batching'}"]
    command = [sys.executable, "-m", "serving.model_server", *flags]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 255 and "Failed to start server. Error: " in done.stdout
    assert error in done.stdout and "Traceback" not in done.stderr
