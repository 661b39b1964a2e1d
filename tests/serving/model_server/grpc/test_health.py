"""The health service of a real server. What it says when the server stops is in test_process.py."""

import pytest

from digits_model_server.grpc import health
from tests.serving.model_server._calls import BAD, refused
from tests.serving.model_server.grpc._health import REQUEST, RESPONSE, check, watch


def test_the_messages_are_the_standard_s_on_the_wire():
    assert REQUEST(service="a").SerializeToString() == b"\x0a\x01a"
    assert RESPONSE(status=2).SerializeToString() == b"\x08\x02"


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_upstream_s_names_serve(channel, name):
    assert check(channel, name) == health.SERVING


def test_other_names_are_unknown(channel):
    call = channel.unary_unary(f"/{health.NAME}/Check")
    asked = REQUEST(service="tensorflow.serving.PredictionService").SerializeToString()
    assert refused(call, asked) == ("NOT_FOUND", "service name unknown")
    for bad in (REQUEST(service="x" * 201).SerializeToString(), b"\xff"):
        assert refused(call, bad)[0] == BAD


def test_a_watcher_hears_at_once_and_may_go(channel):
    known, unknown = watch(channel), watch(channel, "nope")
    assert next(known).status == health.SERVING and next(unknown).status == health.SERVICE_UNKNOWN
    known.cancel()
    unknown.cancel()
    assert check(channel) == health.SERVING
