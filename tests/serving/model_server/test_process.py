"""From SIGTERM to the end of a real server, with requests under way and under load."""

import http.client
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from digits_model_server.grpc import health
from digits_model_server.process import StopRequest
from tests.serving.model_server._calls import ask_half, connected, prediction, refuses, stub, until
from tests.serving.model_server.grpc._health import check, watch


def endless(client, timeout):
    """A run that ends at its deadline."""
    return client.Predict.future(prediction("default", {"free": 1.0}, "endless"), timeout=timeout)


def test_requests_under_way_on_both_ports_finish_after_the_ports_have_closed(launch, models):
    with launch(models["many"], "--drain_seconds=20") as server, stub(server) as client:
        body = json.dumps({"signature_name": "scalar", "inputs": [1, 2]}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        connection.putrequest("POST", "/v1/models/default:predict")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])  # under way: its body is not complete
        slow, begun = endless(client, 1.5), time.monotonic()
        time.sleep(0.3)
        server.process.terminate()
        until(lambda: refuses(server.port) and refuses(server.rest_port), 10)
        assert not slow.done() and server.process.poll() is None
        connection.send(body[5:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"outputs": 3.0})
        assert answer.getheader("Connection") == "close"
        slow.code()  # its deadline is the server's too, which then closes: the client hears one of both
        assert time.monotonic() - begun > 1.4, "its own end, not the server's"
        assert server.process.wait(30) == 0


def test_a_request_that_never_ends_is_cut_off(launch, models):
    with launch(models["many"], "--drain_seconds=1") as server, stub(server) as client:
        slow = endless(client, None)
        time.sleep(0.3)
        began = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - began < 25
        assert slow.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert "cut off" in server.text()


def test_a_second_signal_ends_at_once(launch, half):
    with launch(half, "--shutdown_delay_seconds=60") as server:
        server.process.terminate()
        until(lambda: "no longer ready" in server.text())
        assert server.stop(signal.SIGINT) == 128 + signal.SIGINT


def test_a_server_that_stops_is_not_ready_but_answers_while_it_is_asked_to(launch, half):
    flags = ("--enable_grpc_healthcheck_service", "--shutdown_delay_seconds=2")
    with launch(half, *flags) as server, connected(server) as channel:
        kept = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)

        def leaves():
            """Whether a client that keeps its connection is told to leave."""
            kept.request("GET", "/v1/models/default")
            answer = kept.getresponse()
            assert answer.read() and answer.status == 200
            return answer.getheader("Connection") == "close"

        assert server.rest("/readyz") == (200, "ready\n") and not leaves()
        heard = []
        watcher = threading.Thread(target=lambda: heard.extend(each.status for each in watch(channel)))
        watcher.start()
        until(lambda: heard == [health.SERVING])
        began = time.monotonic()
        server.process.terminate()
        until(lambda: heard == [health.SERVING, health.NOT_SERVING])
        assert check(channel, "PredictionService") == health.NOT_SERVING
        assert server.rest("/readyz") == (503, "stopping\n") and leaves()
        assert ask_half(channel, 2.0) == 2.0
        with connected(server) as late:
            assert ask_half(late, 4.0) == 3.0, "a connection that comes now is answered too"
        assert server.rest("/v1/models/default:predict", {"instances": [2.0]})[0] == 200
        assert server.process.wait(30) == 0 and 1.9 < time.monotonic() - began < 25
        watcher.join(10)
        assert not watcher.is_alive(), "a watcher does not hold up the end"


def test_no_request_that_was_taken_is_lost_under_load(launch, half):
    with launch(half, "--shutdown_delay_seconds=1") as server, connected(server) as channel:
        answered = []

        def over_grpc():
            return [ask_half(channel, 2.0)]

        def over_rest():
            return server.rest("/v1/models/default:predict", {"instances": [2.0]})[1]["predictions"]

        def ask(call, port):
            """Until the port is closed: only then may a call fail."""
            try:
                while True:
                    answered.extend(call())
            except (grpc.RpcError, OSError):
                if not refuses(port):
                    raise

        with ThreadPoolExecutor(4) as pool:
            calls = [(over_grpc, server.port), (over_rest, server.rest_port)] * 2
            asking = [pool.submit(ask, *each) for each in calls]
            until(lambda: len(answered) > 100)
            server.process.terminate()
            assert server.process.wait(30) == 0
        for each in asking:
            each.result()
        assert set(answered) == {2.0}


def test_a_stop_may_be_requested_by_a_handler_at_any_instruction_of_the_wait():
    """Hundreds of signals, each during a wait; with an Event some arrive while the wait holds its lock."""
    stop, calls = StopRequest(), []

    def handler(*_):
        calls.append(stop.set())

    before = signal.signal(signal.SIGALRM, handler)
    try:
        assert not stop.wait(0) and not stop.is_set()
        for micros in range(300):
            stop = StopRequest()
            signal.setitimer(signal.ITIMER_REAL, micros % 50 * 1e-6 + 1e-6)
            assert stop.wait(10) and stop.is_set() and stop.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(calls) == 300
