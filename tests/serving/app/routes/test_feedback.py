"""POST /api/feedback, on real sockets: what a person says a digit is, and why it is not taken."""

import base64
import json

import cv2
import numpy as np
import pytest

from digits.runtime.errors import StoreError
from serving.app.feedback.store import StoreBusy, StoreFull
from serving.app.routes.feedback import LARGEST
from tests.serving.app._gateway import running
from tests.serving.app.feedback._corrections import line_tree, tree

ROUTE, JSON = "/api/feedback", "application/json"


@pytest.fixture
def gateway(tmp_path):
    with running(feedback=f"sqlite:///{tmp_path / 'feedback.db'}") as one:
        yield one


def send(gateway, body):
    return gateway.ask("POST", ROUTE, json.dumps(body), JSON)


def test_a_digit_or_a_line_is_kept_once_however_often_it_comes_and_however_it_is_packed(gateway):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 2048), np.uint8)  # the most that a line can have
    packed, plain = (
        base64.b64encode(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])[1]).decode()
        for level in (9, 0)
    )
    assert packed != plain
    lines = [line_tree(line=line, text=text) for line, text in ((packed, "1.5"), (plain, "1.5"), (plain, ""))]
    for bodies in ([tree(label=label) for label in (1, 1, 2)], lines):
        first, again, other = (send(gateway, body) for body in bodies)
        assert [each[0] for each in (first, again, other)] == [201, 200, 201]
        assert [each[2]["state"] for each in (first, again, other)] == ["pending", "known", "pending"]
        assert first[2]["id"] == again[2]["id"] != other[2]["id"]
        assert first[1]["cache-control"] == "no-store"


def test_what_is_no_correction_is_refused_in_words_and_what_is_too_long_unread(gateway):
    whole = json.dumps(tree()).encode()
    for body, kind, status, code, told in [
        (b"{", JSON, 400, "bad_request", "no JSON"),
        (json.dumps(tree(label=10)), JSON, 400, "bad_request", "label is 10"),
        (json.dumps(line_tree(text="1O")), JSON, 400, "bad_request", "'1O'"),
        (whole, "text/plain", 415, "wrong_type", JSON),
        (whole.ljust(LARGEST + 1), JSON, 413, "too_large", "bytes"),
    ]:
        found, _, answer = gateway.ask("POST", ROUTE, body, kind)
        assert (found, answer["error"]["code"]) == (status, code) and told in answer["error"]["message"]
    assert gateway.ask("POST", ROUTE, whole.ljust(LARGEST), JSON)[0] == 201


def test_a_gateway_that_takes_no_corrections_says_so():
    with running(feedback=None) as gateway:
        status, _, answer = send(gateway, tree())
    assert (status, answer["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StoreBusy, 503, "busy"), (StoreFull, 507, "full"), (StoreError, 500, "failed")],
)
def test_a_store_that_can_not_keep_it_is_told_by_kind(gateway, monkeypatch, error, status, code):
    async def add(_):
        raise error("another program holds /srv/digits/feedback.db")

    monkeypatch.setattr(gateway.state.feedback, "add", add)
    found, headers, answer = send(gateway, tree())
    assert (found, answer["error"]["code"]) == (status, code)
    assert "/srv" not in answer["error"]["message"] and headers["x-request-id"] in answer["error"]["message"]
    assert gateway.line(status)["details"] == "another program holds /srv/digits/feedback.db"
    assert ("retry-after" in headers) == (status == 503)
