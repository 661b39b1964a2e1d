"""Which ports open, and to whom."""

import socket
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tests.serving._server import Server
from tests.serving.model_server._asking import until

ELSEWHERE = "127.0.0.2"  # this machine too, but not the address that the server listens on


@pytest.fixture(scope="module")
def server(half, tmp_path_factory):
    base = tmp_path_factory.mktemp("server")
    listed = f'config {{ name: "listed" base_path: "{half}" model_platform: "tensorflow" }}'
    (base / "models.config").write_text(f"model_config_list {{ {listed} }}")
    flags = ("--model_name=named", "--model_base_path=/nowhere", "--enable_serialization_as_tensor_content")
    with Server(base / "log", f"--model_config_file={base / 'models.config'}", *flags) as made:
        made.config = base / "models.config"
        yield made


def test_nobody_else_is_listened_to_unless_the_host_says_so(server, half, tmp_path):
    for port in (server.port, server.rest_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ELSEWHERE, port), 5)
    with Server(tmp_path / "log", f"--model_base_path={half}", "--host=0.0.0.0") as wide:
        for port in (wide.port, wide.rest_port):
            socket.create_connection((ELSEWHERE, port), 5).close()


def test_without_a_rest_port_there_is_grpc_alone(half, tmp_path):
    flags = (f"--model_base_path={half}", "--rest_api_port=0")  # the last of two holds
    with Server(tmp_path / "log", *flags, ready=False) as server:
        until(lambda: "gRPC on " in server.text())
        time.sleep(0.3)
        assert "REST on " not in server.text()
        socket.create_connection(("127.0.0.1", server.port), 5).close()


def test_answers_are_packed_where_that_is_asked_for(server):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "listed"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[2.0]]))
    with grpc.insecure_channel(server.target) as channel:
        found = PredictionServiceStub(channel).Predict(request, timeout=20).outputs["y"]
    assert found.tensor_content == np.float32(2.0).tobytes() and not found.float_val


def test_a_config_file_goes_before_a_name_and_a_path_and_is_read_once(server):
    assert server.rest("/v1/models/listed")[0] == 200
    assert server.rest("/v1/models/named")[0] == 404
    server.config.write_text(server.config.read_text().replace("listed", "other"))
    time.sleep(1.5)
    assert server.rest("/v1/models/listed")[0] == 200
    assert server.rest("/v1/models/other")[0] == 404
