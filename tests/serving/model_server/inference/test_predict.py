"""Upstream's Predict over gRPC: answers, and what is refused, with which code and in which words."""

import time

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

from tests.serving.model_server._calls import BAD, lists, predict, prediction, refused, serving, stub

ONE, PAIR = np.ones((1, 1), np.float32), np.ones((1, 2), np.float32)
WORDS = np.array([b"five", b"", b"\x00\xff" * 40, "größer".encode()], object)


def test_an_old_model_answers_in_typed_lists_and_names_what_answered(client):
    asked = prediction("half", {"x": np.array([[1.0], [2.0], [5.0]], np.float32)})
    answer = client.Predict(asked, timeout=20)
    assert list(answer.outputs["y"].float_val) == [2.5, 3.0, 4.5] and not answer.outputs["y"].tensor_content
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 123, "serving_default")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (prediction("half", {"x": [1.0, 2.0]}), {"y": [2.5, 3.0]}),  # a vector for a column, as upstream
        (prediction("half", {"x": ONE}, version=122), {"y": [[1.5]]}),
        (prediction("half", {"x": ONE}, label="blue/1"), {"y": [[1.5]]}),
        (prediction("many", {"a": PAIR, "b": [10]}), {"total": [12.0], "twice": [24.0]}),
        (prediction("many", {"a": PAIR, "b": [10]}, outputs=["total"]), {"total": [12.0]}),
        (prediction("many", {"s": WORDS}, "strings", ["raw_bytes"]), {"raw_bytes": WORDS.tolist()}),
        (
            prediction("modern", {"x": [[1.5, 2.0, -3.0]]}),
            {"square": [[2.25, 4.0, 9.0]], "first": [1], "b": [[1.5, 2.0, -3.0]]},
        ),
        (prediction("lenient", {"a": PAIR}, outputs=["total"]), {"total": [7.0]}),  # b has a default
    ],
)
def test_answers_of_models_of_all_styles(client, asked, expected):
    assert lists(client.Predict(asked, timeout=20)) == expected


SIZE = "input size does not match signature: "
EXTRA = f"{SIZE}3!=1 len({{a,x,z}}) != len({{x}}). Sent extra: {{a,z}}. Missing but required: {{}}."
LACKING = f"{SIZE}1!=2 len({{b}}) != len({{a,b}}). Sent extra: {{}}. Missing but required: {{a}}."
MISSING = (
    "Signature input alias: %s not found in request and no default value provided. Inputs expected to be in "
    "the request {%s}, or default input alias set: %s"
)
INVALID = "Inputs contains invalid name. Used request inputs: a, request input: a,z"
OUTPUT = "output tensor alias not found in signature: z Outputs expected to be in the set {total,twice}."


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (predict_pb2.PredictRequest(), BAD, "Missing ModelSpec"),
        (prediction("", {}), BAD, "ModelSpec has no name specified."),
        (prediction("nope", {}), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (prediction("half", {}, version=7), "NOT_FOUND", "Servable not found for request: Specific(half, 7)"),
        (prediction("half", {}, label="red"), BAD, "Unrecognized servable version label: red"),
        (prediction("half", {}, "s"), "FAILED_PRECONDITION", 'Serving signature key "s" not found.'),
        (prediction("half", {"x": ONE, "z": ONE, "a": ONE}), BAD, EXTRA),
        (prediction("many", {"b": ONE}), BAD, LACKING),
        (prediction("half", {"y": ONE}), BAD, MISSING % ("x(feed name: x:0)", "y", "")),
        (prediction("lenient", {"b": [1]}), BAD, MISSING % ("a(feed name: a:0)", "b", "b")),
        (prediction("lenient", {"a": PAIR, "z": ONE}), BAD, INVALID),
        (prediction("many", {"a": PAIR, "b": [1]}, outputs=["total", "z"]), BAD, OUTPUT),
        (prediction("half", {"x": ONE}, outputs=["y", "y"]), BAD, "duplicate output tensor alias: y"),
    ],
)
def test_what_is_refused_to_the_letter(client, asked, code, said):
    assert refused(client.Predict, asked) == (code, said)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (prediction("half", {"x": [[1]]}), "Expects arg[0] to be float but int32 is provided"),
        (prediction("half", {"x": [["1"]]}), "Expects arg[0] to be float but string is provided"),
        (prediction("half", {"x": TensorProto(dtype=types_pb2.DT_QINT8)}), "data type 11 is not supported"),
        (prediction("half", {"x": np.zeros((2, 2, 2), np.float32)}), "expected shape [?,1]"),
        (prediction("half", {"x": np.float32(1)}), "expected shape [?,1]"),
        (prediction("half", {"x": np.zeros((5000, 1), np.float32)}), "5000 rows, more than 4096"),
        (prediction("many", {"a": np.zeros((2, 2), np.float32), "b": np.zeros(3, np.int32)}), "shape"),
    ],
)
def test_a_tensor_that_the_model_does_not_take_is_refused_and_the_server_lives(client, asked, said):
    code, text = refused(client.Predict, asked)
    assert code == BAD and said in text
    assert predict(client, "half", {"x": ONE}) == {"y": [[2.5]]}


def test_a_tensor_that_can_t_be_read_is_named(client):
    asked = prediction("half", {"x": ONE})
    asked.inputs["x"].tensor_content = b"odd"
    code, text = refused(client.Predict, asked)
    assert code == BAD and text.startswith("tensor parsing error: x")


def test_a_long_message_is_cut(client):
    code, text = refused(client.Predict, prediction("half", {f"input_{n:04}": ONE for n in range(300)}))
    assert code == BAD and len(text) == 1024 and text.endswith("...TRUNCATED")


def test_a_message_beyond_the_limit_is_refused(client):
    code, _ = refused(client.Predict, prediction("half", {"x": np.zeros((20_000_000, 1), np.float32)}))
    assert code == "RESOURCE_EXHAUSTED"


def test_a_deadline_ends_the_run_not_only_the_wait(server, client):
    found = refused(predict, client, "many", {"free": [1.0]}, "endless", timeout=0.5)
    assert found[0] == "DEADLINE_EXCEEDED"
    before = server.cpu()
    time.sleep(1.0)
    assert server.cpu() - before < 0.5, "the run goes on after its deadline"


def test_with_the_method_name_check_predict_answers_the_known_methods_only(models, tmp_path):
    flag = "--enable_signature_method_name_check"
    with serving(tmp_path, models, flag) as server, stub(server) as client:
        said = (
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. Was: my/own"
        )
        empty = {"inputs": np.array([b""], object)}
        assert refused(client.Predict, prediction("graded", empty, "odd")) == ("INTERNAL", said)
        known = refused(client.Predict, prediction("graded", empty, "regress"))
        assert "required but could not be found" in known[1]
        body = {"signature_name": "odd", "instances": ["x"]}
        assert server.rest("/v1/models/graded:predict", body) == (500, {"error": said})
        assert server.rest("/v1/models/half:predict", {"instances": [1.0]})[0] == 200
