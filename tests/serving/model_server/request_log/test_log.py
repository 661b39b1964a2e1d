"""Sampled requests come into the log, and nothing that happens to the log reaches those who ask."""

import errno
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tensorflow_serving.apis import predict_pb2

from digits_model_server import status
from digits_model_server.models.config import Logging
from digits_model_server.request_log import files as log_files
from digits_model_server.request_log import log as request_log
from digits_model_server.request_log.log import Bounds, RequestLog
from tests.serving.model_server._calls import until
from tests.serving.model_server.request_log._records import records, sent

BOUNDS = Bounds(1 << 20, 5)


class Server:
    """A log of model m, and what it needs of a server: the settings, and an observer that notes all."""

    def __init__(self, prefix, rate=1.0, bounds=BOUNDS, **more):
        self.models, self.counted = {}, []
        self.set("m", prefix, rate)
        self.log = RequestLog(self, bounds, ["serve"], self, **more)

    def set(self, name, prefix, rate=1.0):
        wanted = prefix and Logging(str(prefix), rate)
        self.models[name] = SimpleNamespace(settings=SimpleNamespace(logging=wanted))

    def count_logged(self, model, code):
        self.counted.append((model, status.NAMES[code]))

    def ask(self, text=b"x", model="m"):
        """Have a request and its response logged; return both."""
        request, response = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
        request.model_spec.name = response.model_spec.name = model
        response.model_spec.signature_name, response.model_spec.version.value = "serving_default", 7
        request.inputs["x"].string_val.append(text)
        self.log.record("Predict", request, response)
        return request, response


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "log")


@pytest.fixture
def said(caplog):
    """What the log has said."""
    caplog.set_level(logging.WARNING, "digits-model-server")
    return lambda: [record.message for record in caplog.records]


def test_a_record_holds_the_request_the_response_and_whence_they_are(server, tmp_path):
    request, response = server.ask()
    server.log.close(10)
    (found,) = records(tmp_path / "log")
    assert (found.predict_log.request, found.predict_log.response) == (request, response)
    about = found.log_metadata
    assert about.model_spec == response.model_spec and about.saved_model_tags == ["serve"]
    assert about.sampling_config.sampling_rate == 1.0 and abs(about.timestamp_secs - time.time()) < 60
    assert server.counted == [("m", "OK")]


def test_the_rate_decides_which_requests_are_logged(tmp_path):
    server, same = Server(tmp_path / "log", 0.25, chance=random.Random(5).random), random.Random(5)
    server.set("n", None)
    for number in range(200):
        for model in ("m", "n", "unknown"):
            server.ask(b"%d" % number, model)
    server.log.close(10)
    assert sent(tmp_path / "log") == [b"%d" % n for n in range(200) if same.random() < 0.25]


def test_a_log_is_turned_on_and_off_and_moved_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "TIDY", 0.02)
    server = Server(None)
    for number, prefix in enumerate(["a", None, "b"]):
        server.set("m", prefix and tmp_path / prefix)
        server.ask(b"%d" % number)
        until(lambda: server.log._bytes == 0)
    assert sent(tmp_path / "a") == [b"0"]
    until(lambda: set(server.log._sinks) == {str(tmp_path / "b")})
    server.log.close(10)
    assert sent(tmp_path / "b") == [b"2"]


def test_who_asks_never_waits_for_a_disk_that_hangs(server, tmp_path, monkeypatch, said):
    gate = threading.Event()
    write = log_files.LogFiles.write
    monkeypatch.setattr(log_files.LogFiles, "write", lambda *a: gate.wait(20) and write(*a))
    monkeypatch.setattr(request_log, "MOST_WAITING", 10_000)
    for number in range(50):
        server.ask(b"%d" % number + b" " * 1000)
    lost = server.counted.count(("m", "RESOURCE_EXHAUSTED"))
    assert 40 <= lost < 50 and server.log._bytes <= 10_000
    gate.set()
    until(lambda: server.log._lost == 0)
    server.log.close(10)
    assert len(records(tmp_path / "log")) == 50 - lost
    assert said() == [
        "the request log can't keep up: requests are not logged until it does",
        f"the request log keeps up again; {lost} requests are missing",
    ]


def test_the_end_does_not_wait_for_a_disk_that_hangs_and_says_what_is_lost(server, monkeypatch, said):
    gate = threading.Event()
    monkeypatch.setattr(log_files.LogFiles, "write", lambda *_: gate.wait(20))
    for _ in range(3):
        server.ask()
    until(lambda: len(server.log._waiting) == 2)
    server.log.close(0.05)
    assert said() == ["the request log ends without the last 2 requests"]
    gate.set()
    server.log.close(10)


def test_a_process_without_a_thread_to_spare_answers_all_the_same(server, tmp_path, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        server.ask(b"lost")
    server.ask(b"kept")
    server.log.close(10)
    assert server.counted == [("m", "RESOURCE_EXHAUSTED"), ("m", "OK")]
    assert sent(tmp_path / "log") == [b"kept"]


@pytest.mark.parametrize(
    ("number", "code", "pause"),
    [
        (errno.ENOSPC, "RESOURCE_EXHAUSTED", 0.0),  # tried again for each request
        (errno.EROFS, "PERMISSION_DENIED", 0.2),
        (errno.ENOENT, "NOT_FOUND", 0.0),
    ],
)
def test_a_disk_that_fails_is_counted_and_said_once(server, tmp_path, monkeypatch, said, number, code, pause):
    def fails(*_):
        raise OSError(number, "the disk is unwell")

    monkeypatch.setattr(log_files, "AGAIN", pause)
    with monkeypatch.context() as patched:
        patched.setattr(log_files.LogFiles, "write", fails)
        for _ in range(10):
            server.ask()
        until(lambda: len(server.counted) == 10)
    time.sleep(pause)
    server.ask(b"again")
    server.log.close(10)
    assert server.counted == [("m", code)] * 10 + [("m", "OK")]
    assert sent(tmp_path / "log") == [b"again"]
    assert said() == [
        f"request log {tmp_path}/log-*: the disk is unwell; requests are not logged until it works",
        f"request log {tmp_path}/log-*: written to again; 10 requests are missing",
    ]


def test_many_threads_log_every_request_once(tmp_path):
    server, texts = Server(tmp_path / "log", bounds=Bounds(10_000, 1000)), [b"%d" % n for n in range(400)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(server.ask, texts))
    server.log.close(10)
    assert sorted(sent(tmp_path / "log")) == sorted(texts)
