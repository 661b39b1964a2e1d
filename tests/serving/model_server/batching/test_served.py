"""Upstream's batching, with a real server: its parameter files, queues, sizes, padding, errors."""

import contextlib
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._calls import predict, refused_start, settings, stub

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
    flags = ["--model_name=m", f"--model_base_path={base}", "--enable_batching", *flags]
    given = {"batching_parameters": parameters, "monitoring_config": "prometheus_config { enable: true }"}
    for name, text in given.items():
        if text is not None:
            (folder / name).write_text(text)
            flags.append(f"--{name}_file={folder / name}")
    with Server(folder / "log", *flags) as server, stub(server) as made:
        yield Client(made, server)
        assert server.process.poll() is None, server.text()


class Client:
    def __init__(self, client, server):
        self.client, self.server = client, server

    def ask(self, values, signature="", outputs=(), timeout=20.0, name="x"):
        try:
            return predict(self.client, "m", {name: values}, signature, outputs, timeout=timeout)
        except grpc.RpcError as error:
            return error.code().name, error.details()

    def together(self, *requests):
        """Answers of requests that are sent at the same moment."""
        start = threading.Barrier(len(requests))

        def one(asked):
            start.wait()
            return self.ask(*asked) if isinstance(asked, tuple) else self.ask(asked)

        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(one, requests))

    def count(self, metric):
        page = self.server.rest("/monitoring/prometheus/metrics")[1]
        name = f":tensorflow:serving:batching_session:{metric}"
        return sum(int(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{name}{{"))


def until_met(ask, expected, times=20):
    """Whether requests sent together are answered as those of one batch: on a busy machine not each time."""
    return any(ask() == expected for _ in range(times))


@pytest.fixture(scope="module")
def client(tmp_path_factory, model):
    with served(tmp_path_factory.mktemp("a"), model, PARAMETERS) as made:
        yield made


def rows(*values):
    return np.array([[value] for value in values], np.float32)


def test_requests_are_run_together_filled_up_to_an_allowed_size_and_counted(client):
    runs, waits = client.count("wrapped_run_count"), client.count("queuing_latency_count")
    answers = client.together(rows(1), rows(2, 3))
    assert [answer["sum"] for answer in answers] == [[1], [2, 3]]
    assert [answer["rows"] for answer in answers] == [[4], [4, 4]]
    assert client.count("wrapped_run_count") - runs in (1, 2)  # of one batch, unless the machine is busy
    assert client.count("queuing_latency_count") == waits + 2
    assert client.ask(rows(*range(5)))["rows"] == [8] * 5


def test_rest_requests_are_run_with_those_over_grpc(client):
    body = {"instances": [{"x": [2.0]}]}

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


def test_other_shapes_are_not_joined_without_padding_and_no_stranger_fails_for_them(client):
    answers = client.together(rows(1), np.ones((1, 2), np.float32))
    assert [answer["sum"] for answer in answers] == [[1], [2]]


def test_too_many_rows_and_outputs_that_are_not_row_by_row_are_refused(client):
    code, details = client.ask(rows(*range(9)))
    assert code == "INVALID_ARGUMENT" and "Task size 9 is larger than maximum input batch size 8" in details
    for signature, said in (("whole", " has 0 dimensions"), ("first", "'s 0th dimension does not equal")):
        code, details = client.ask(rows(1, 2), signature)
        assert code == "FAILED_PRECONDITION" and f"Batched output tensor{said}" in details


def test_one_bad_input_fails_its_own_request_and_not_a_stranger_s(client):
    good, bad, other = client.together(
        *((np.array([text], object), "numbers", (), 20.0, "s") for text in (b"1", b"x", b"3"))
    )
    assert good == {"number": [1], "twin": [b"1"]} and other == {"number": [3], "twin": [b"3"]}
    assert bad[0] == "INVALID_ARGUMENT" and "could not correctly convert string: x" in bad[1]


def test_a_flood_beyond_the_queues_is_refused_and_what_is_taken_is_answered(client):
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda value: client.ask(rows(*[value] * 8)), range(200)))
    taken = [(value, answer) for value, answer in enumerate(answers) if isinstance(answer, dict)]
    assert taken and all(answer["sum"] == [value] * 8 for value, answer in taken)
    for answer in answers:
        if not isinstance(answer, dict):
            assert answer[0] == "UNAVAILABLE" and "max_enqueued_batches is 2" in answer[1]


def test_padding_fills_up_with_the_first_value_and_large_requests_are_split(tmp_path, model):
    parameters = """
        max_batch_size { value: 100 } enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 } pad_variable_length_inputs: true
        batch_timeout_micros { value: 100000 }
    """
    with served(tmp_path, model, parameters) as client:

        def both():
            return [answer["sum"] for answer in client.together(np.array([[1, 2, 3]], np.float32), rows(5))]

        assert until_met(both, [[6.0], [15.0]]), "they never met in a batch"
        answer = client.ask(rows(*range(10)))
        assert answer["sum"] == list(range(10)) and sorted(answer["rows"]) == [2] * 2 + [4] * 8


def test_without_a_file_nothing_waits_and_everything_is_answered(tmp_path, model):
    with served(tmp_path, model) as client, ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda value: client.ask(rows(value)), range(400)))
        assert [answer["sum"] for answer in answers] == [[value] for value in range(400)]
        assert client.ask(rows(1))["rows"] == [1]
        name = 'queuing_latency_count{thread_pool_name="model_server_batch_threads"}'
        assert name in client.server.rest("/monitoring/prometheus/metrics")[1]


def test_each_version_can_bring_its_own_parameters(tmp_path, model):
    base = tmp_path / "m"
    for version in ("1", "2"):
        shutil.copytree(model / "1", base / version)
    own = "max_batch_size { value: 3 } allowed_batch_sizes: 3"
    (base / "2" / "batching_params.pbtxt").write_text(own)
    (tmp_path / "models").write_text(settings({"m": base}, every=True))
    flags = (f"--model_config_file={tmp_path / 'models'}", "--enable_per_model_batching_parameters")
    with served(tmp_path, base, PARAMETERS, *flags) as client:
        assert client.ask(rows(1))["rows"] == [3]  # the latest version
        body = {"instances": [{"x": [1.0]}] * 9}
        status, answer = client.server.rest("/v1/models/m/versions/1:predict", body)
        assert status == 200 and [row["rows"] for row in answer["predictions"]] == [9] * 9


def test_bad_parameters_end_the_start_at_once_with_the_reason(tmp_path, model):
    (tmp_path / "batching").write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    flags = [f"--model_base_path={model}", f"--batching_parameters_file={tmp_path / 'batching'}"]
    error = "batching_parameters_file is set without setting"
    for more, said in ((["--enable_batching"], "must match max_batch_size"), ([], error)):
        text = refused_start(*flags, *more)
        assert "Failed to start server. Error: " in text and said in text
