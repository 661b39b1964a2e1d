"""Sampled requests come into the log, and nothing that happens to the log reaches those who ask."""

import errno
import logging
import random
import threading
import time
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
    """What a log needs of one: the models' settings, and an observer that keeps what it is told."""

    def __init__(self, **wanted):
        self.models = {}
        self.counted = []
        for name, each in wanted.items():
            self.set(name, each)

    def set(self, name, wanted):
        self.models[name] = SimpleNamespace(settings=SimpleNamespace(logging=wanted))

    def count_logged(self, model, code):
        self.counted.append((model, status.NAMES[code]))


def exchange(model, text=b"x"):
    request, response = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
    request.model_spec.name = response.model_spec.name = model
    response.model_spec.signature_name, response.model_spec.version.value = "serving_default", 7
    request.inputs["x"].string_val.append(text)
    return request, response


def test_a_record_holds_the_request_the_response_and_whence_they_are(tmp_path):
    server = Server(m=Logging(str(tmp_path / "log"), 1.0))
    log = RequestLog(server, BOUNDS, ["serve"], server)
    request, response = exchange("m")
    log.record("Predict", request, response)
    log.close(10)
    (found,) = records(tmp_path / "log")
    assert (found.predict_log.request, found.predict_log.response) == (request, response)
    about = found.log_metadata
    assert about.model_spec == response.model_spec and about.saved_model_tags == ["serve"]
    assert about.sampling_config.sampling_rate == 1.0 and abs(about.timestamp_secs - time.time()) < 60
    assert server.counted == [("m", "OK")]


def test_the_rate_decides_which_requests_are_logged(tmp_path):
    server = Server(m=Logging(str(tmp_path / "log"), 0.25), n=None)
    log = RequestLog(server, BOUNDS, chance=random.Random(5).random)
    for number in range(200):
        log.record("Predict", *exchange("m", b"%d" % number))
        log.record("Predict", *exchange("n"))
        log.record("Predict", *exchange("unknown"))
    log.close(10)
    same = random.Random(5)
    assert sent(tmp_path / "log") == [b"%d" % n for n in range(200) if same.random() < 0.25]


def test_a_log_is_turned_on_and_off_and_moved_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "TIDY", 0.02)
    server = Server(m=None)
    log = RequestLog(server, BOUNDS, [], server)
    for number, prefix in enumerate(["a", None, "b"]):
        server.set("m", prefix and Logging(str(tmp_path / prefix), 1.0))
        log.record("Predict", *exchange("m", b"%d" % number))
        until(lambda: log._bytes == 0)
    assert sent(tmp_path / "a") == [b"0"]
    until(lambda: set(log._sinks) == {str(tmp_path / "b")})
    log.close(10)
    assert sent(tmp_path / "b") == [b"2"]


def test_who_asks_never_waits_for_a_disk_that_hangs(tmp_path, monkeypatch, caplog):
    gate = threading.Event()
    write = log_files.LogFiles.write
    monkeypatch.setattr(log_files.LogFiles, "write", lambda *a: gate.wait(20) and write(*a))
    monkeypatch.setattr(request_log, "MOST_WAITING", 10_000)
    server = Server(m=Logging(str(tmp_path / "log"), 1.0))
    log = RequestLog(server, BOUNDS, [], server)
    with caplog.at_level(logging.WARNING, "digits-model-server"):
        for number in range(50):
            log.record("Predict", *exchange("m", b"%d" % number + b" " * 1000))
        lost = server.counted.count(("m", "RESOURCE_EXHAUSTED"))
        assert 40 <= lost < 50 and log._bytes <= 10_000
        gate.set()
        until(lambda: log._lost == 0)
    log.close(10)
    assert len(records(tmp_path / "log")) == 50 - lost
    assert [record.message for record in caplog.records] == [
        "the request log can't keep up: requests are not logged until it does",
        f"the request log keeps up again; {lost} requests are missing",
    ]


def test_the_end_does_not_wait_for_a_disk_that_hangs_and_says_what_is_lost(tmp_path, monkeypatch, caplog):
    gate = threading.Event()
    monkeypatch.setattr(log_files.LogFiles, "write", lambda *_: gate.wait(20))
    log = RequestLog(Server(m=Logging(str(tmp_path / "log"), 1.0)), BOUNDS)
    for _ in range(3):
        log.record("Predict", *exchange("m"))
    until(lambda: len(log._waiting) == 2)
    with caplog.at_level(logging.WARNING, "digits-model-server"):
        log.close(0.05)
    assert [record.message for record in caplog.records] == [
        "the request log ends without the last 2 requests"
    ]
    gate.set()
    log.close(10)


def test_a_process_without_a_thread_to_spare_answers_all_the_same(tmp_path, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    server = Server(m=Logging(str(tmp_path / "log"), 1.0))
    log = RequestLog(server, BOUNDS, [], server)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        log.record("Predict", *exchange("m", b"lost"))
    log.record("Predict", *exchange("m", b"kept"))
    log.close(10)
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
def test_a_disk_that_fails_is_counted_and_said_once(tmp_path, monkeypatch, caplog, number, code, pause):
    monkeypatch.setattr(log_files, "AGAIN", pause)
    broken = True
    write = log_files.LogFiles.write

    def fails(files, record):
        if broken:
            raise OSError(number, "the disk is unwell")
        write(files, record)

    monkeypatch.setattr(log_files.LogFiles, "write", fails)
    server = Server(m=Logging(str(tmp_path / "log"), 1.0))
    log = RequestLog(server, BOUNDS, [], server)
    with caplog.at_level(logging.WARNING, "digits-model-server"):
        for _ in range(10):
            log.record("Predict", *exchange("m"))
        until(lambda: len(server.counted) == 10)
        broken = False
        time.sleep(pause)
        log.record("Predict", *exchange("m", b"again"))
        log.close(10)
    assert server.counted == [("m", code)] * 10 + [("m", "OK")]
    assert sent(tmp_path / "log") == [b"again"]
    assert [record.message for record in caplog.records] == [
        f"request log {tmp_path}/log-*: the disk is unwell; requests are not logged until it works",
        f"request log {tmp_path}/log-*: written to again; 10 requests are missing",
    ]


def test_many_threads_log_every_request_once(tmp_path):
    server = Server(m=Logging(str(tmp_path / "log"), 1.0))
    log = RequestLog(server, Bounds(10_000, 1000))

    def work(thread):
        for number in range(100):
            log.record("Predict", *exchange("m", b"%d/%d" % (thread, number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(10)
    expected = {b"%d/%d" % (thread, number) for thread in range(4) for number in range(100)}
    found = sent(tmp_path / "log")
    assert len(found) == 400 and set(found) == expected
