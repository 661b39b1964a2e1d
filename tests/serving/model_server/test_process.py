"""From SIGTERM to the end of a real server, with requests under way and under load."""

import http.client
import json
import signal
import socket
import threading
import time

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.model_server.process import Readiness, close_all, finishes_within
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._asking import predict, until


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "many"
    _models.many(base / "7")
    return base


def test_everybody_is_told_of_the_end():
    told, readiness = [], Readiness()
    readiness.on_end(lambda: told.append(1))
    readiness.on_end(lambda: told.append(2))
    assert readiness.ready and not told
    readiness.end()
    assert not readiness.ready and told == [1, 2]


def test_ports_close_at_the_same_time():
    both = threading.Barrier(2, timeout=20)
    seconds = []

    def close(given):
        both.wait()
        seconds.append(given)

    close_all([close, close], 7.0)
    assert seconds == [7.0, 7.0]


def test_work_that_does_not_end_is_not_waited_for():
    gate = threading.Event()
    assert finishes_within(5.0, lambda: None)
    assert not finishes_within(0.05, lambda: gate.wait(20) and None)
    gate.set()


def endless(channel, timeout):
    """A run that ends at its deadline."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "many", "endless"
    request.inputs["free"].CopyFrom(tf.make_tensor_proto(1.0))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.future(request, timeout=timeout)


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_requests_under_way_on_both_ports_finish_after_the_ports_have_closed(many, tmp_path):
    flags = ("--model_name=many", f"--model_base_path={many}", "--drain_seconds=20")
    with Server(tmp_path / "log", *flags) as server, grpc.insecure_channel(server.target) as channel:
        body = json.dumps({"signature_name": "scalar", "inputs": [1, 2]}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        connection.putrequest("POST", "/v1/models/many:predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])  # under way: its body is not complete
        slow, begun = endless(channel, 2.0), time.monotonic()
        time.sleep(0.5)
        server.process.terminate()
        until(lambda: refuses(server.port) and refuses(server.rest_port), 10)
        assert not slow.done() and server.process.poll() is None
        connection.send(body[5:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"outputs": 3.0})
        assert answer.getheader("Connection") == "close"
        slow.code()  # its deadline is the server's too, which then closes: the client hears one of both
        assert time.monotonic() - begun > 1.9, "its own end, not the server's"
        assert server.process.wait(30) == 0


def test_a_request_that_never_ends_is_cut_off(many, tmp_path):
    flags = ("--model_name=many", f"--model_base_path={many}", "--drain_seconds=1")
    with Server(tmp_path / "log", *flags) as server, grpc.insecure_channel(server.target) as channel:
        slow = endless(channel, None)
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - began < 25
        assert slow.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert "cut off" in server.text()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(half, tmp_path, second):
    with Server(tmp_path / "log", f"--model_base_path={half}", "--shutdown_delay_seconds=60") as server:
        server.process.terminate()
        until(lambda: "no longer ready" in server.text())
        assert server.stop(second) == 128 + second


def test_a_client_that_keeps_its_connection_is_told_to_leave_before_the_port_closes(half, tmp_path):
    with Server(tmp_path / "log", f"--model_base_path={half}", "--shutdown_delay_seconds=1") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        connection.request("GET", "/v1/models/default")
        answer = connection.getresponse()
        assert answer.read() and answer.getheader("Connection") != "close"
        server.process.terminate()
        until(lambda: "no longer ready" in server.text())
        connection.request("GET", "/v1/models/default")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() and answer.getheader("Connection") == "close"
        assert server.process.wait(30) == 0


def test_no_request_that_was_taken_is_lost_under_load(half, tmp_path):
    flags = (f"--model_base_path={half}", "--shutdown_delay_seconds=1")
    with Server(tmp_path / "log", *flags) as server:
        answered, broken = [], []

        def over_grpc():
            with grpc.insecure_channel(server.target) as channel:
                while True:
                    try:
                        answered.append(predict(channel, 2.0, timeout=20))
                    except grpc.RpcError as error:
                        if not refuses(server.port):
                            broken.append(error)
                        return

        def over_rest():
            while True:
                try:
                    status, body = server.rest("/v1/models/default:predict", {"instances": [2.0]})
                    answered.append(body["predictions"][0] if status == 200 else broken.append(body))
                except OSError as error:
                    if not refuses(server.rest_port):
                        broken.append(error)
                    return

        threads = [threading.Thread(target=work) for work in (over_grpc, over_grpc, over_rest, over_rest)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 100)
        server.process.terminate()
        assert server.process.wait(30) == 0
        for thread in threads:
            thread.join()
        assert not broken and set(answered) == {2.0}
