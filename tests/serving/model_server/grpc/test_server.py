import contextlib
import signal

import grpc
import pytest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from digits_model_server.grpc import server
from digits_model_server.status import Status
from tests.serving.model_server._calls import prediction


def test_channel_arguments_are_numbers_where_they_look_like_them_and_need_a_value():
    found = server.channel_arguments("grpc.a=7,grpc.b=-7,grpc.c=7s,grpc.d=,grpc.e=x=y")
    assert found == [("grpc.a", 7), ("grpc.b", -7), ("grpc.c", "7s"), ("grpc.d", ""), ("grpc.e", "x=y")]
    with pytest.raises(Status, match=r"INVALID_ARGUMENT: .*'grpc\.a' is not of the form key=value"):
        server.channel_arguments("grpc.a")


def test_a_burst_that_meets_a_stalled_server_is_answered_to_the_last_request(launch, half):
    """gRPC itself would cancel what goes beyond a thousand waiting requests."""
    request = prediction("default", {"x": [1.0]})
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    with launch(half) as made, contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(made.target, options)) for _ in range(20)]
        stubs = [PredictionServiceStub(channel) for channel in channels]
        for stub in stubs:
            stub.Predict(request, timeout=30)
        made.process.send_signal(signal.SIGSTOP)
        waiting = [stubs[number % 20].Predict.future(request, timeout=60) for number in range(1200)]
        made.process.send_signal(signal.SIGCONT)
        assert {call.code() for call in waiting} == {grpc.StatusCode.OK}
