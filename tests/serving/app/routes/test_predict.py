"""POST /api/predict, on real sockets, with a model server whose model is arithmetic."""

import json
import threading

import numpy as np
import pytest

from serving.app import model_status
from tests.flows._processes import wait_for
from tests.serving.app._gateway import running
from tests.serving.client import _fake

ROUTE = "/api/predict"


def image(digit):
    made = np.zeros((28, 28), np.uint8)
    made[0, 0] = digit
    return made


def test_bytes_json_and_a_picture_are_answered_alike_and_several_in_their_order(gateway):
    three = image(3)
    answers = [
        gateway.ask("POST", ROUTE, three.tobytes()),
        gateway.ask("POST", ROUTE, json.dumps({"images": [three.tolist()]}), "application/json"),
        gateway.ask("POST", ROUTE, _fake.picture(3), "image/png"),
    ]
    for status, headers, told in answers:
        assert status == 200 and headers["cache-control"] == "no-store"
        (prediction,) = told["predictions"]
        assert (told["version"], prediction["digit"]) == (3, 3)
        assert prediction["confidence"] == _fake.SURE == prediction["probabilities"][3]
        assert sum(prediction["probabilities"]) == 1
    body = b"".join(image(digit).tobytes() for digit in (7, 1, 9))
    _, _, told = gateway.ask("POST", ROUTE, body)
    assert [each["digit"] for each in told["predictions"]] == [7, 1, 9]


def test_what_many_visitors_ask_at_once_goes_to_the_model_together(gateway, fake):
    fake.stuck.clear()
    fake.asked.clear()
    found = {}

    def visit(digit):
        told = gateway.ask("POST", ROUTE, image(digit).tobytes())[2]
        found[digit] = [each["digit"] for each in told["predictions"]]

    visitors = [threading.Thread(target=visit, args=[digit]) for digit in range(10)]
    for each in visitors:
        each.start()
    wait_for(lambda: gateway.state.metrics.under_way._value.get() == 10)  # all have come
    fake.stuck.set()
    for each in visitors:
        each.join()
    assert found == {digit: [digit] for digit in range(10)}
    assert sum(count for _, count, _ in fake.asked) == 10
    assert len(fake.asked) <= 4  # two while the first were held, then the rest


BYTES, JSON = "application/octet-stream", "application/json"
MANY = json.dumps({"images": [image(1).tolist()] * 513})


@pytest.mark.parametrize(
    ("body", "kind", "status", "code", "told"),
    [
        (b"x" * 783, BYTES, 400, "bad_request", "783 bytes"),
        (b"x" * 784 * 257, BYTES, 413, "too_large", "257 images"),
        (b"{", JSON, 400, "bad_request", "no JSON"),
        (b"[1]", JSON, 400, "bad_request", "other JSON"),
        (b'{"images": [[[0.5]]]}', JSON, 400, "bad_request", "rows"),
        (MANY, JSON, 413, "too_large", "twice 256"),
        (b'{"images": [' + b"[]," * 15_000 + b"[]]}", JSON, 413, "too_large", "twice 256"),
        (b"digit=3", "application/x-www-form-urlencoded", 415, "wrong_type", "expected one of"),
        (b"%PDF-1.7", "image/png", 400, "bad_picture", "neither a PNG nor a JPEG"),
        (_fake.picture(3, b"bad"), "image/png", 400, "bad_picture", "blank"),
    ],
)
def test_what_is_no_image_is_refused_in_words(gateway, body, kind, status, code, told):
    found, _, tree = gateway.ask("POST", ROUTE, body, kind)
    assert (found, tree["error"]["code"]) == (status, code)
    assert told in tree["error"]["message"] and "\n" not in tree["error"]["message"]


def test_without_a_model_server_the_answer_says_so_and_it_is_asked_again_when_it_is_back(tmp_path):
    with _fake.serving() as gone:
        address = gone.grpc
    with running(server=address, timeout=2.0) as gateway:
        status, headers, tree = gateway.ask("POST", ROUTE, image(3).tobytes())
        assert (status, tree["error"]["code"]) == (503, "no_model") and int(headers["retry-after"]) >= 1
        assert gateway.ask("GET", "/readyz")[0] == 503 and gateway.ask("GET", "/healthz")[0] == 200
        about = gateway.ask("GET", "/api/about")[2]
        assert about["model"] == {"ready": False, "version": None, "message": model_status.AWAY}
        assert address not in str((tree, gateway.ask("GET", "/readyz"))), "where it is, is for the log"
        assert [each for each in gateway.said if address in each.get("details", "")]
        assert len([each for each in gateway.said if address in each.get("message", "")]) == 1
        server, _ = _fake.grpc_server(_fake.Fake(), port=int(address.rpartition(":")[2]))
        try:
            wait_for(lambda: gateway.ask("POST", ROUTE, image(3).tobytes())[0] == 200)
            wait_for(lambda: gateway.ask("GET", "/readyz")[0] == 200)
        finally:
            server.stop(None).wait()


def test_a_version_that_is_promoted_meanwhile_answers_the_next_request(fake):
    with running(server=fake.grpc) as gateway:
        assert gateway.ask("GET", "/api/about")[2]["model"]["version"] == 3
        fake.versions = {3: "END", 4: "AVAILABLE"}
        try:
            assert gateway.ask("POST", ROUTE, image(1).tobytes())[2]["version"] == 4
            wait_for(lambda: gateway.ask("GET", "/api/about")[2]["model"]["version"] == 4)
        finally:
            fake.versions = {3: "AVAILABLE"}


def test_a_model_that_fails_or_is_too_slow_is_told_apart_from_one_that_is_away(fake):
    with running(server=fake.grpc, timeout=0.3) as gateway:
        fake.faults = [_fake.Refusal("INTERNAL", "no reason in /srv/models")]
        status, headers, tree = gateway.ask("POST", ROUTE, image(1).tobytes())
        assert (status, tree["error"]["code"]) == (502, "bad_gateway") and "/srv" not in str(tree)
        assert headers["x-request-id"] in tree["error"]["message"]
        fake.stuck.clear()
        try:
            status, _, tree = gateway.ask("POST", ROUTE, image(1).tobytes())
        finally:
            fake.stuck.set()
        assert (status, tree["error"]["code"]) == (504, "late")
