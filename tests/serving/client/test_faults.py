"""Servers that are slow, gone, overloaded or talk nonsense."""

import asyncio
import time

import numpy as np
import pytest

from digits_client import (
    AsyncDigitClient,
    BadRequest,
    DeadlineExceeded,
    DigitClient,
    ServingError,
    Unavailable,
)
from tests._ports import free_port
from tests.serving.client._fake import Fake, Refusal, grpc_server, picture
from tests.serving.client._sockets import listening, relay, saying

IMAGE = np.zeros((28, 28), np.uint8)


BUSY = Refusal("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")


@pytest.fixture
def brief_pauses(monkeypatch):
    monkeypatch.setattr("digits_client.calls.FIRST_PAUSE", 0.01)


def test_an_overloaded_server_is_asked_again_until_it_answers_or_the_retries_are_used_up(
    connect, fake, transport, brief_pauses
):
    fake.faults = [Refusal("RESOURCE_EXHAUSTED", "full"), BUSY]
    assert connect(fake.address(transport)).predict(IMAGE)[0].digit == 0
    fake.faults = [BUSY] * 9
    with pytest.raises(Unavailable, match="queue"):
        connect(fake.address(transport), retries=1).predict(IMAGE)
    assert len(fake.faults) == 7


def test_what_can_not_heal_is_not_asked_again(client, fake):
    errors = {"INVALID_ARGUMENT": BadRequest, "DEADLINE_EXCEEDED": DeadlineExceeded, "INTERNAL": ServingError}
    for code, error in errors.items():
        fake.faults = [Refusal(code, "no"), Refusal(code, "no")]
        with pytest.raises(error) as caught:
            client.predict(IMAGE)
        assert type(caught.value) is error and len(fake.faults) == 1


def test_a_message_above_the_servers_limit_is_the_callers_fault_and_pictures_go_in_smaller_ones():
    fake = Fake()
    server, port = grpc_server(fake, limit=20_000)
    try:
        with DigitClient(f"localhost:{port}") as client:
            with pytest.raises(BadRequest, match="larger than max"):
                client.predict(np.zeros((100, 28, 28), np.uint8))
            pictures = [picture(i, b"." * 4000) for i in range(8)]
            assert [p.digit for p in client.predict_bytes(pictures)] == list(range(8))
    finally:
        server.stop(None).wait()


def test_another_model_under_the_name_is_no_fault_of_the_pictures(client, fake):
    fake.faults = [Refusal("FAILED_PRECONDITION", 'Serving signature key "serving_default" not found.')]
    with pytest.raises(ServingError, match="another kind of model") as caught:
        client.predict(IMAGE)
    assert not isinstance(caught.value, BadRequest)


def test_a_connection_that_breaks_before_the_answer_heals(connect, fake, transport):
    with listening(relay(fake.address(transport), cut=2)) as address:
        assert connect(address).predict(IMAGE)[0].digit == 0


def test_nothing_and_another_service_at_the_address_are_unavailable(connect, transport):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=address):
        connect(address, retries=1).predict(IMAGE)
    assert connect(address).health() is False
    mail = listening(saying(b"220 mail ready\r\n"))
    with mail as address, pytest.raises(Unavailable, match="host and port"):
        connect(address, retries=0, timeout=5).predict(IMAGE)


def test_garbage_for_an_answer_is_one_clear_line(connect, fake, transport):
    client = connect(fake.address(transport), version=3)
    for garbage in (b"", b"\xff\xfe\x00nonsense", b"{" * 100_000, b'{"predictions": 1}'):
        fake.garbage = garbage
        for call in (lambda: client.predict(IMAGE), client.status):
            with pytest.raises(ServingError, match="wire contract") as caught:
                call()
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_slow_server_costs_the_deadline_which_is_for_all_chunks_together(connect, fake, transport):
    fake.on_predict = fake.stuck.clear  # the first chunk is answered, the second is not
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
        connect(fake.address(transport), timeout=0.3, chunk_images=1).predict(np.zeros((2, 28, 28), np.uint8))
    assert 0.25 < time.monotonic() - started < 3


over_rest = pytest.mark.parametrize(
    "kind", [("rest", DigitClient), ("rest", AsyncDigitClient)], ids=["sync", "async"]
)
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
DRIPS = {"status": (b"", b"HTTP/1.1 200 OK\r\n"), "headers": (b"", b"X-Filler: 1\r\n"), "body": (BODY, b" ")}


@pytest.mark.parametrize(("begin", "drip"), DRIPS.values(), ids=DRIPS)
@over_rest
def test_a_dripping_server_costs_the_deadline_and_no_more(connect, begin, drip):
    def serve(connection, number):
        connection.sendall(begin)
        saying(drip, pause=0.05)(connection, number)

    started = time.monotonic()
    with listening(serve) as address, pytest.raises(ServingError):
        connect(address, timeout=0.3, retries=0).predict(IMAGE)
    assert time.monotonic() - started < 3


@over_rest
def test_an_endless_answer_is_cut(connect, monkeypatch):
    def serve(connection, number):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b" " * (1 << 20))

    monkeypatch.setattr("digits_client.transport_rest.LARGEST_ANSWER", 1 << 20)
    with listening(serve) as address, pytest.raises(ServingError, match="1 MiB"):
        connect(address, timeout=60, retries=0, version=3).predict(IMAGE)


def test_a_cancelled_call_is_over_at_once_and_the_client_stays_usable(fake, runner):
    async def cancel(transport):
        async with AsyncDigitClient(fake.address(transport), transport, version=3) as client:
            fake.stuck.clear()
            fake.arrived.clear()
            task = asyncio.create_task(client.predict(IMAGE))
            await asyncio.to_thread(fake.arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            fake.stuck.set()
            return await client.predict(IMAGE)

    for transport in ("grpc", "rest"):
        assert runner.run(cancel(transport)).version == 3


def test_a_proxy_of_the_environment_is_not_asked(connect, fake, transport, monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        for each in (name, name.upper()):
            monkeypatch.setenv(each, f"http://127.0.0.1:{free_port()}")
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    assert connect(fake.address(transport), retries=0).predict(IMAGE).version == 3
