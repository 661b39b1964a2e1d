"""The styles of model that upstream serves: as old as TensorFlow 1.0, with state, with several versions."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._asking import start
from tests.serving.model_server._calls import examples, regression, stub


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.oldest(base / "oldest" / "00000123")
    _models.counter(base / "counter" / "1")
    _models.half_plus(base / "two" / "123", 2.0)
    _models.half_plus(base / "two" / "124", 3.0)
    _models.modern(base / "modern" / "1")
    extra = _models.half_plus(base / "extra" / "1") / "assets.extra"
    extra.mkdir()
    (extra / "saved_model_config.pb").write_bytes(b"\x0a\x02\x08\x01")
    return base


@pytest.fixture(scope="module")
def server(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{base / name}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }"
        for name in ("oldest", "counter", "two", "modern", "extra")
    )
    (folder / "models.config").write_text(f"model_config_list {{ {listed} }}")
    with Server(folder / "log", f"--model_config_file={folder / 'models.config'}") as made:
        yield made
        assert made.process.poll() is None, made.text()


@pytest.fixture(scope="module")
def client(server):
    with stub(server) as made:
        yield made


def predict(client, model, inputs, signature="", version=None):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    answer = client.Predict(request, timeout=20)
    (output,) = answer.outputs.values()
    return tf.make_ndarray(output).tolist()


def row(model, *values):
    return model, {"x": np.array(values, np.float32)}


@pytest.mark.parametrize(
    ("given", "expected"), [([2.0], [4.0]), ([1.0, 5.0], [3.5, 5.5]), ([[2.0], [4.0]], [[4.0], [5.0]])]
)
def test_a_signature_that_tells_no_shapes_takes_what_the_graph_takes(server, client, given, expected):
    assert predict(client, *row("oldest", *given)) == expected
    assert server.rest("/v1/models/oldest:predict", {"instances": given}) == (200, {"predictions": expected})
    assert server.rest("/v1/models/oldest:predict", {"inputs": given}) == (200, {"outputs": expected})


def test_what_the_graph_takes_counts_where_an_old_signature_says_another_type(client):
    request = regression("oldest", "tensorflow/serving/regress", examples(2.0, 4.0))
    found = client.Regress(request, timeout=20).result.regressions
    assert [each.value for each in found] == [4.0, 5.0]
    with pytest.raises(grpc.RpcError, match="to be string but float is provided"):
        predict(client, "oldest", {"inputs": [1.0]}, "tensorflow/serving/regress")


def test_reference_variables_keep_their_state_between_requests(server, client):
    predict(client, "counter", {}, "reset_counter")
    assert [predict(client, "counter", {}, "incr_counter") for _ in range(3)] == [1.0, 2.0, 3.0]
    body = {"signature_name": "incr_counter_by", "inputs": 2.5}
    assert server.rest("/v1/models/counter:predict", body) == (200, {"outputs": 5.5})
    assert predict(client, "counter", {"delta": np.ones(64, np.float32)}, "incr_counter_by") == 69.5
    assert predict(client, "counter", {}, "get_counter") == 69.5


def test_a_signature_without_inputs_is_for_grpc_only_as_upstream(server):
    body = {"signature_name": "get_counter", "inputs": {}}
    said = "Failed to get input map for signature: get_counter"
    assert server.rest("/v1/models/counter:predict", body) == (400, {"error": said})


def test_versions_of_a_model_serve_side_by_side(server, client):
    assert predict(client, *row("two", 2.0)) == [4.0]
    assert predict(client, *row("two", 2.0), version=123) == [3.0]
    for version, expected in ((123, 3.0), (124, 4.0)):
        path = f"/v1/models/two/versions/{version}:predict"
        assert server.rest(path, {"instances": [2.0]}) == (200, {"predictions": [expected]})
    listed = server.rest("/v1/models/two")[1]["model_version_status"]
    assert [(each["version"], each["state"]) for each in listed] == [
        ("124", "AVAILABLE"),
        ("123", "AVAILABLE"),
    ]


def test_a_saved_model_config_does_not_keep_a_model_from_serving(client):
    assert predict(client, *row("extra", 2.0)) == [3.0]


def test_an_answer_of_a_type_that_json_lacks_is_refused(server):
    status, answer = server.rest("/v1/models/modern:predict", {"instances": [[1.0, 2.0, 3.0]]})
    assert (status, answer) == (400, {"error": "Failed to write JSON value for tensor type: bfloat16"})


def test_names_that_are_asked_for_in_vain_leave_the_signatures_as_they_are(server, client, base):
    for inputs, signature in (({"nope": [1.0]}, ""), ({"x": [1.0], "nope": [1.0]}, ""), ({}, "nope")):
        with pytest.raises(grpc.RpcError):
            predict(client, "oldest", inputs, signature)
        with pytest.raises(grpc.RpcError):
            client.Regress(regression("oldest", signature or "serving_default", examples(1.0)), timeout=20)
        body = {"signature_name": signature, "instances": [inputs]}
        assert server.rest("/v1/models/oldest:predict", body)[0] == 400
    file = base / "oldest" / "00000123" / "saved_model.pb"
    raw = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs[0].signature_def
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "oldest"
    found = get_model_metadata_pb2.SignatureDefMap()
    client.GetModelMetadata(request, timeout=20).metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == dict(raw)
    assert predict(client, *row("oldest", 2.0)) == [4.0]


def test_a_model_pinned_to_a_device_that_is_not_there_needs_soft_placement(tmp_path):
    _models.pinned(tmp_path / "m" / "1", "/device:GPU:7")
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0")
    done = start("--port=0", f"--grpc_socket_path={tmp_path / 'socket'}", *flags)
    assert done.returncode == 255 and "explicitly assigned to /device:GPU:7" in done.stdout
    (tmp_path / "session").write_text("allow_soft_placement: true")
    flag = f"--tensorflow_session_config_file={tmp_path / 'session'}"
    with Server(tmp_path / "log", *flags, flag) as server:
        assert server.rest("/v1/models/m:predict", {"instances": [2.0]}) == (200, {"predictions": [3.0]})


def test_an_export_older_than_saved_models_is_refused_with_the_reason(tmp_path):
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    for name in ("export.meta", "export-00000-of-00001", "checkpoint"):
        (folder / name).write_bytes(b"x")
    flags = ("--port=0", f"--grpc_socket_path={tmp_path / 'socket'}", "--max_num_load_retries=0")
    done = start(f"--model_base_path={tmp_path / 'm'}", *flags)
    assert done.returncode == 255
    assert (
        f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {folder}" in done.stdout
    )
