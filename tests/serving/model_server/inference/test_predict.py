"""Upstream's Predict over gRPC: what is refused, with which code and in which words."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.serving import _models
from tests.serving.model_server._calls import serving, stub

BAD = "INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.half_plus(base / "half" / "1")
    _models.many(base / "many" / "1")
    _models.graded(base / "graded" / "1")
    _models.lenient(base / "lenient" / "1")
    return {name: base / name for name in ("half", "many", "graded", "lenient")}


@pytest.fixture(scope="module")
def client(models, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("log"), models) as server, stub(server) as made:
        yield made


def refused(client, request):
    with pytest.raises(grpc.RpcError) as caught:
        client.Predict(request, timeout=20)
    return caught.value.code().name, caught.value.details()


def request(model, inputs=(), signature="", outputs=()):
    made = predict_pb2.PredictRequest(output_filter=outputs)
    made.model_spec.name, made.model_spec.signature_name = model, signature
    for name in inputs:
        made.inputs[name].CopyFrom(tf.make_tensor_proto(np.ones((1, 2), np.float32)))
    return made


@pytest.mark.parametrize(
    ("made", "code", "said"),
    [
        (request("half", signature="s"), "FAILED_PRECONDITION", 'Serving signature key "s" not found.'),
        (
            request("half"),
            BAD,
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
            "Missing but required: {x}.",
        ),
        (
            request("half", ["x", "z", "a"]),
            BAD,
            "input size does not match signature: 3!=1 len({a,x,z}) != len({x}). Sent extra: "
            "{a,z}. Missing but "
            "required: {}.",
        ),
        (
            request("many", ["b"]),
            BAD,
            "input size does not match signature: 1!=2 len({b}) != len({a,b}). Sent extra: {}. "
            "Missing but "
            "required: {a}.",
        ),
        (
            request("half", ["y"]),
            BAD,
            "Signature input alias: x(feed name: x:0) not found in request and no default "
            "value provided. Inputs "
            "expected to be in the request {y}, or default input alias set: ",
        ),
        (
            request("lenient", ["b"]),
            BAD,
            "Signature input alias: a(feed name: a:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {b}, or default input alias set: b",
        ),
        (
            request("lenient", ["a", "z"]),
            BAD,
            "Inputs contains invalid name. Used request inputs: a, request input: a,z",
        ),
        (
            request("half", ["x"], outputs=["z"]),
            BAD,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        (
            request("many", ["a", "b"], outputs=["total", "z"]),
            BAD,
            "output tensor alias not found in signature: z Outputs expected to be in the set {total,twice}.",
        ),
        (request("half", ["x"], outputs=["y", "y"]), BAD, "duplicate output tensor alias: y"),
        (request(""), BAD, "ModelSpec has no name specified."),
        (request("nope"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (predict_pb2.PredictRequest(), BAD, "Missing ModelSpec"),
    ],
)
def test_what_is_refused_to_the_letter(client, made, code, said):
    assert refused(client, made) == (code, said)


def test_an_input_with_a_default_may_be_left_out(client):
    answer = client.Predict(request("lenient", ["a"], outputs=["total"]), timeout=20)
    assert list(answer.outputs) == ["total"] and list(answer.outputs["total"].float_val) == [7.0]


def test_a_tensor_that_can_t_be_read_is_named(client):
    made = request("half", ["x"])
    made.inputs["x"].tensor_content = b"odd"
    code, text = refused(client, made)
    assert code == BAD and text.startswith("tensor parsing error: x")


def test_versions_and_labels_that_are_not_there(client):
    made = request("half", ["x"])
    made.model_spec.version.value = 7
    assert refused(client, made) == ("NOT_FOUND", "Servable not found for request: Specific(half, 7)")
    made.model_spec.version_label = "blue"
    assert refused(client, made) == (BAD, "Unrecognized servable version label: blue")


def test_a_long_message_is_cut(client):
    code, text = refused(client, request("half", [f"input_{place:04}" for place in range(300)]))
    assert code == BAD and len(text) == 1024 and text.endswith("...TRUNCATED")


def test_with_the_method_name_check_predict_answers_the_known_methods_only(models, tmp_path):
    flag = "--enable_signature_method_name_check"
    with serving(tmp_path, models, flag) as server, stub(server) as client:
        made = request("graded", signature="odd")
        made.inputs["inputs"].CopyFrom(tf.make_tensor_proto([b""], tf.string))
        said = (
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. Was: my/own"
        )
        assert refused(client, made) == ("INTERNAL", said)
        made.model_spec.signature_name = "regress"
        assert "required but could not be found" in refused(client, made)[1]
        body = {"signature_name": "odd", "instances": ["x"]}
        assert server.rest("/v1/models/graded:predict", body) == (500, {"error": said})
        assert server.rest("/v1/models/half:predict", {"instances": [1.0]})[0] == 200
