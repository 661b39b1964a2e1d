"""The health service of a real server, asked in the messages of grpc.health.v1."""

import threading
import time

import grpc
import pytest

from serving.model_server.grpc import health
from tests.serving._server import Server
from tests.serving.model_server._asking import predict, until

REQUEST, RESPONSE = (health.message(f"HealthCheck{name}") for name in ("Request", "Response"))


@pytest.fixture(scope="module")
def server(half, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    with Server(log, f"--model_base_path={half}", "--enable_grpc_healthcheck_service=true") as made:
        yield made


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.target) as made:
        yield made


def check(channel, name="", timeout=20.0):
    path = f"/{health.NAME}/Check"
    call = channel.unary_unary(path, REQUEST.SerializeToString, RESPONSE.FromString)
    return call(REQUEST(service=name), timeout=timeout).status


def watch(channel, name=""):
    path = f"/{health.NAME}/Watch"
    return channel.unary_stream(path, REQUEST.SerializeToString, RESPONSE.FromString)(REQUEST(service=name))


def test_the_messages_are_the_standard_s_on_the_wire():
    assert REQUEST(service="a").SerializeToString() == b"\x0a\x01a"
    assert RESPONSE(status=2).SerializeToString() == b"\x08\x02"


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_upstream_s_names_serve(channel, name):
    assert check(channel, name) == health.SERVING


def test_other_names_are_unknown(channel):
    with pytest.raises(grpc.RpcError) as caught:
        check(channel, "tensorflow.serving.PredictionService")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "service name unknown"
    with pytest.raises(grpc.RpcError) as caught:
        check(channel, "x" * 201)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    call = channel.unary_unary(f"/{health.NAME}/Check")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff", timeout=20)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_watcher_hears_at_once_and_may_go(channel):
    known, unknown = watch(channel), watch(channel, "nope")
    assert next(known).status == health.SERVING and next(unknown).status == health.SERVICE_UNKNOWN
    known.cancel()
    unknown.cancel()
    assert check(channel) == health.SERVING


def test_without_the_flag_there_is_no_such_service(half, tmp_path):
    with Server(tmp_path / "log", f"--model_base_path={half}") as server:
        with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
            check(channel)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_server_that_stops_is_not_ready_but_answers_while_it_is_asked_to(half, tmp_path):
    flags = (
        f"--model_base_path={half}",
        "--enable_grpc_healthcheck_service",
        "--shutdown_delay_seconds=5",
    )
    with Server(tmp_path / "log", *flags) as server, grpc.insecure_channel(server.target) as channel:
        assert server.rest("/readyz") == (200, "ready\n")
        heard = []
        watcher = threading.Thread(target=lambda: heard.extend(each.status for each in watch(channel)))
        watcher.start()
        until(lambda: heard == [health.SERVING])
        began = time.monotonic()
        server.process.terminate()
        until(lambda: heard == [health.SERVING, health.NOT_SERVING])
        assert check(channel, "PredictionService") == health.NOT_SERVING
        assert server.rest("/readyz") == (503, "stopping\n")
        assert predict(channel, 2.0) == 2.0
        with grpc.insecure_channel(server.target) as late:
            assert predict(late, 4.0) == 3.0, "a connection that comes now is answered too"
        assert server.rest("/v1/models/default:predict", {"instances": [2.0]})[0] == 200
        assert server.process.wait(30) == 0 and 4.9 < time.monotonic() - began < 25
        watcher.join(10)
        assert not watcher.is_alive(), "a watcher does not hold up the end"
