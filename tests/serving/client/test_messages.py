"""The client's own messages beside tensorflow-serving-api's, in one process: equal bytes, answers read alike.

The only tests of the client that load TensorFlow.
"""

import importlib
import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from digits_client import DigitClient, codec_grpc, results
from digits_client.codec import Pictures, Pixels, Spec
from digits_client.codec_grpc import PREDICT, STATUS, GrpcCodec
from digits_client.codec_rest import RestCodec
from tests.serving.client._fake import SURE, Fake, grpc_server, picture, shares
from tests.serving.client._page import recipes


@pytest.fixture(scope="module")
def api():
    import tensorflow as tf
    from tensorflow_serving import apis

    part = lambda name: importlib.import_module(f"{apis.__name__}.{name}")  # noqa: E731
    messages = {"predict": part("predict_pb2"), "status": part("get_model_status_pb2")}
    services = {
        "predict_grpc": part("prediction_service_pb2_grpc"),
        "model_grpc": part("model_service_pb2_grpc"),
    }
    return SimpleNamespace(tf=tf, **messages, **services)


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


def test_every_field_has_the_name_number_and_type_of_tensorflow_serving_api(api):
    compared = set()

    def compare(ours, theirs):
        if ours.full_name in compared:
            return
        compared.add(ours.full_name)
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            kind = field.TYPE_INT32 if other.type == field.TYPE_ENUM else other.type
            assert (field.number, field.type, field.is_repeated) == (other.number, kind, other.is_repeated)
            if field.message_type:
                compare(field.message_type, other.message_type)

    compare(codec_grpc.PredictRequest.DESCRIPTOR, api.predict.PredictRequest.DESCRIPTOR)
    compare(codec_grpc.PredictResponse.DESCRIPTOR, api.predict.PredictResponse.DESCRIPTOR)
    compare(codec_grpc.GetModelStatusRequest.DESCRIPTOR, api.status.GetModelStatusRequest.DESCRIPTOR)
    compare(codec_grpc.GetModelStatusResponse.DESCRIPTOR, api.status.GetModelStatusResponse.DESCRIPTOR)
    assert len(compared) == 13


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
        del tensor.float_val[:], tensor.int64_val[:], tensor.bool_val[:]

    return fill


def as_list(api, *, cut):
    def fill(tensor, array):
        tensor.CopyFrom(api.tf.make_tensor_proto(array))
        tensor.ClearField("tensor_content")
        values = array.ravel().tolist()
        while cut and len(values) > 1 and values[-1] == values[-2]:
            values.pop()
        fields = {"i": tensor.int64_val, "f": tensor.float_val, "b": tensor.bool_val}
        field = fields[array.dtype.kind]
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


def test_a_version_made_before_there_was_such_an_output_is_read_with_none(api):
    over_grpc = GrpcCodec().parse_prediction(
        response(api, [7], as_list(api, cut=False)).SerializeToString(), 1
    )
    row = {"digit": 7, "confidence": SURE, "probabilities": shares(7)}
    over_rest = RestCodec().parse_prediction(json.dumps({"predictions": [row]}).encode(), 1)
    for answered in (over_grpc, over_rest):
        assert [p.accepted for p in results.predictions(answered, 1)] == [None]


@pytest.mark.parametrize("accepted", [1, "true", None, [True]])
def test_over_rest_accepted_is_true_or_false_and_nothing_else(accepted):
    row = {"digit": 7, "confidence": SURE, "probabilities": shares(7), "accepted": accepted}
    answered = RestCodec().parse_prediction(json.dumps({"predictions": [row]}).encode(), 1)
    with pytest.raises(ValueError, match="accepted"):
        results.predictions(answered, 1)


def test_a_list_left_empty_is_zeros_as_in_tensorflow(api):
    def fill(tensor, array):
        as_list(api, cut=True)(tensor, array)
        if not array.any():
            del tensor.int64_val[:]
            assert (api.tf.make_ndarray(tensor) == array).all()

    answered = GrpcCodec().parse_prediction(response(api, [0, 0], fill).SerializeToString(), 2)
    assert [p.digit for p in results.predictions(answered, 2)] == [0, 0]


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
    made = response(api, [7], as_list(api, cut=False))
    spoil(made)
    with pytest.raises(ValueError, match=r"\w"):
        results.predictions(GrpcCodec().parse_prediction(made.SerializeToString(), 1), 1)


def test_a_server_written_against_tensorflow_serving_api_understands_every_call(api, tmp_path):
    class Predictions(api.predict_grpc.PredictionServiceServicer):
        def Predict(self, request, _):
            ((name, tensor),) = request.inputs.items()
            array = api.tf.make_ndarray(tensor)
            digits = [int(file[8:9]) for file in array] if name == "image_bytes" else array[:, 0, 0].tolist()
            return response(api, digits, as_list(api, cut=False))

    class Models(api.model_grpc.ModelServiceServicer):
        def GetModelStatus(self, request, _):
            made = api.status.GetModelStatusResponse()
            each = made.model_version_status.add(version=3, state=30)
            each.status.error_message = request.model_spec.name
            return made

    def doors(server):
        api.predict_grpc.add_PredictionServiceServicer_to_server(Predictions(), server)
        api.model_grpc.add_ModelServiceServicer_to_server(Models(), server)

    assert PREDICT.startswith("/tensorflow.serving.PredictionService/")
    assert STATUS.startswith("/tensorflow.serving.ModelService/")
    (tmp_path / "8.png").write_bytes(picture(8))
    images = np.zeros((2, 28, 28), np.uint8)
    images[:, 0, 0] = [5, 6]
    server, port = grpc_server(Fake(), doors)
    try:
        with DigitClient(f"localhost:{port}") as client:
            answer = client.predict(images)
            assert ([p.digit for p in answer], answer.version) == ([5, 6], 3)
            assert [p.digit for p in client.predict_files([tmp_path / "8.png"])] == [8]
            assert client.status()[0].error == "digits"
            assert client.health() is True
    finally:
        server.stop(None).wait()


def test_the_recipe_for_grpcurl_writes_a_request_that_is_read(api, tmp_path, monkeypatch):
    """grpcurl makes protobuf of JSON by means of the descriptions; so does protobuf's json_format."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(picture(7))
    (describe,), (ask,) = recipes("grpcurl", "python"), recipes("grpcurl", "sh")
    exec(describe, {})
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(Path("serving.protoset").read_bytes()).file:
        pool.Add(file)
    method = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
    assert ask.split()[-1] == f"{method.containing_service.full_name}/{method.name}"
    shown = subprocess.run(["sh", "-c", re.sub(r"grpcurl .*", "cat", ask)], capture_output=True, check=True)
    request = json_format.Parse(shown.stdout, message_factory.GetMessageClass(method.input_type)())
    assert request.SerializeToString() == GrpcCodec().predict(Spec("digits"), Pictures([picture(7)])).body
