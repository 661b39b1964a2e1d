"""The client's own messages beside tensorflow-serving-api's, in one process: equal bytes, answers read alike.

The only tests of the client that load TensorFlow.
"""

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from digits_client import results
from digits_client.codec import LinePictures, Lines, Pictures, Pixels, Spec
from digits_client.codec_grpc import GrpcCodec
from digits_client.codec_rest import RestCodec
from tests.serving.client._fake import SURE, line_rows, picture, shares
from tests.serving.client._page import recipes


@pytest.fixture(scope="module")
def api():
    import tensorflow as tf
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    return SimpleNamespace(tf=tf, predict=predict_pb2, status=get_model_status_pb2)


SPECS = [Spec("digits"), Spec("digits_canary", 7), Spec("größe", 1 << 40)]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.model)
def test_requests_have_the_bytes_of_tensorflow_serving_api(api, spec):
    images = np.random.default_rng(1).integers(0, 256, (256, 28, 28), np.uint8)
    files = [picture(1), picture(2, bytes(range(256)) * 40), b""]
    asked = [(Pixels(images[:n].tobytes(), n), "serving_default", "images", images[:n]) for n in (1, 2, 256)]
    asked += [(Pictures(files[:n]), "encoded", "image_bytes", files[:n]) for n in (1, 2, 3)]
    for given, signature, name, value in asked:
        request = api.predict.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = spec.model, signature
        if spec.version is not None:
            request.model_spec.version.value = spec.version
        request.inputs[name].CopyFrom(api.tf.make_tensor_proto(value))
        assert GrpcCodec().predict(spec, given).body == request.SerializeToString(deterministic=True)
    request = api.status.GetModelStatusRequest()
    request.model_spec.name = spec.model
    if spec.version is not None:
        request.model_spec.version.value = spec.version
    assert GrpcCodec().status(spec).body == request.SerializeToString(deterministic=True)


def test_a_request_for_lines_is_read_as_such_by_tensorflow_serving_api(api):
    lines = [np.full((32, width), width, np.uint8) for width in (5, 9)]
    body = GrpcCodec().predict(SPECS[1], Lines([line.tobytes() for line in lines], [5, 9])).body
    request = api.predict.PredictRequest.FromString(body)
    assert (request.model_spec.signature_name, request.model_spec.version.value) == ("lines", 7)
    sent = {name: api.tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    assert {name: value.dtype for name, value in sent.items()} == {"lines": np.uint8, "width": np.int32}
    assert sent["width"].tolist() == [5, 9] and sent["lines"].shape == (2, 32, 9)
    assert all((sent["lines"][row, :, : line.shape[1]] == line).all() for row, line in enumerate(lines))


def response(api, digits, fill, accepted=None):
    made = api.predict.PredictResponse()
    made.model_spec.name, made.model_spec.signature_name = "digits", "encoded"
    made.model_spec.version.value = 3
    rows = np.array([shares(d) for d in digits], np.float32).reshape(len(digits), 10)
    arrays = {"digit": np.array(digits, np.int64), "confidence": rows.max(axis=1), "probabilities": rows}
    if accepted is not None:
        arrays["accepted"] = np.array(accepted, np.bool_)
    for name, array in arrays.items():
        fill(made.outputs[name], array)
    return made


def as_content(api):
    def fill(tensor, array):
        tensor.CopyFrom(api.tf.make_tensor_proto(array))
        tensor.tensor_content = array.tobytes()
        del tensor.float_val[:], tensor.int_val[:], tensor.int64_val[:], tensor.bool_val[:]

    return fill


def as_list(api, *, cut=False):
    def fill(tensor, array):
        tensor.CopyFrom(api.tf.make_tensor_proto(array))
        tensor.ClearField("tensor_content")
        values = array.ravel().tolist()
        while cut and len(values) > 1 and values[-1] == values[-2]:
            values.pop()
        fields = {"i": tensor.int64_val, "f": tensor.float_val, "b": tensor.bool_val}
        field = tensor.int_val if array.dtype == np.int32 else fields[array.dtype.kind]
        del field[:]
        field.extend(values)
        assert (api.tf.make_ndarray(tensor) == array).all()  # TensorFlow reads it so as well

    return fill


ANSWERS = [([7], [True]), ([1, 2, 3], [True, False, True]), ([4, 4, 4], [False] * 3), ([0, 0], [True] * 2)]


@pytest.mark.parametrize(("digits", "accepted"), ANSWERS, ids=str)
@pytest.mark.parametrize("form", ["content", "list", "list cut short"])
def test_answers_are_read_in_every_form_that_tensorflow_writes(api, digits, accepted, form):
    fill = as_content(api) if form == "content" else as_list(api, cut=form == "list cut short")
    body = response(api, digits, fill, accepted).SerializeToString()
    answered = GrpcCodec().parse_prediction(body, len(digits))
    made = results.predictions(answered, len(digits))
    assert [(p.digit, p.accepted) for p in made] == list(zip(digits, accepted, strict=True))
    assert [p.probabilities for p in made] == [tuple(shares(d)) for d in digits]
    assert answered.version == 3


@pytest.mark.parametrize("form", ["content", "list", "list cut short"])
def test_lines_are_read_in_every_form_that_tensorflow_writes(api, form):
    fill = as_content(api) if form == "content" else as_list(api, cut=form == "list cut short")
    rows = line_rows([3, 7], [40, 44], 44)
    kinds = {"accepted": bool, "length": np.int32, "character": np.int32, "column_count": np.int32}
    made = api.predict.PredictResponse()
    made.model_spec.version.value = 3
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in ("text", "written"):
            made.outputs[name].CopyFrom(api.tf.make_tensor_proto(values))
        else:
            fill(made.outputs[name], np.array(values, kinds.get(name, np.float32)))
    over_grpc = GrpcCodec().parse_lines(made.SerializeToString(), 2)
    over_rest = RestCodec().parse_lines(json.dumps({"predictions": rows}).encode(), 2)
    read = results.line_predictions(over_grpc, 2)
    assert read == results.line_predictions(over_rest, 2)
    assert [each.written for each in read] == ["3.40", "7.44"] and over_grpc.version == 3
    made.outputs.pop("columns")
    with pytest.raises(ValueError, match="no output 'columns'"):
        GrpcCodec().parse_lines(made.SerializeToString(), 2)


def test_a_version_from_before_there_was_accepted_is_read_with_none_and_over_rest_it_is_true_or_false(api):
    over_grpc = GrpcCodec().parse_prediction(response(api, [7], as_list(api)).SerializeToString(), 1)
    row = {"digit": 7, "confidence": SURE, "probabilities": shares(7)}
    over_rest = RestCodec().parse_prediction(json.dumps({"predictions": [row]}).encode(), 1)
    for answered in (over_grpc, over_rest):
        assert [p.accepted for p in results.predictions(answered, 1)] == [None]
    for wrong in (1, "true", None):
        content = json.dumps({"predictions": [row | {"accepted": wrong}]}).encode()
        with pytest.raises(ValueError, match="accepted"):
            results.predictions(RestCodec().parse_prediction(content, 1), 1)


def tensor(name, field, value):
    """Another value in a field of an output."""
    return lambda made: getattr(made.outputs[name], field).__setitem__(slice(None), value)


WRONG = {
    "no output": lambda made: made.outputs.pop("digit"),
    "no version": lambda made: made.model_spec.ClearField("version"),
    "another shape": lambda made: setattr(made.outputs["probabilities"].tensor_shape.dim[1], "size", 9),
    "endless": lambda made: setattr(made.outputs["probabilities"].tensor_shape.dim[0], "size", 1 << 60),
    "another type": lambda made: setattr(made.outputs["digit"], "dtype", 3),
    "short content": lambda made: setattr(made.outputs["confidence"], "tensor_content", b"123"),
    "too many": tensor("digit", "int64_val", [7, 1, 2, 3]),
    "no digit": tensor("digit", "int64_val", [10]),
    "not a number": tensor("confidence", "float_val", [float("nan")]),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_an_answer_against_the_contract_is_refused(api, spoil):
    made = response(api, [7], as_list(api))
    spoil(made)
    with pytest.raises(ValueError, match=r"\w"):
        results.predictions(GrpcCodec().parse_prediction(made.SerializeToString(), 1), 1)


def test_the_recipe_for_grpcurl_writes_a_request_that_is_read(api, tmp_path, monkeypatch):
    """grpcurl makes protobuf of JSON by means of the descriptions; so does protobuf's json_format."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    monkeypatch.chdir(tmp_path)
    for name in ("seven.png", "line.png"):
        (tmp_path / name).write_bytes(picture(7))
    (describe,), (ask, lines) = recipes("grpcurl", "python"), recipes("grpcurl", "sh")
    exec(describe, {})
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(Path("serving.protoset").read_bytes()).file:
        pool.Add(file)
    method = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
    assert ask.split()[-1] == f"{method.containing_service.full_name}/{method.name}"
    for recipe, kind in ((ask, Pictures), (lines, LinePictures)):
        shown = subprocess.check_output(["sh", "-c", re.sub(r"grpcurl .*", "cat", recipe)])
        request = json_format.Parse(shown, message_factory.GetMessageClass(method.input_type)())
        assert request.SerializeToString() == GrpcCodec().predict(Spec("digits"), kind([picture(7)])).body
