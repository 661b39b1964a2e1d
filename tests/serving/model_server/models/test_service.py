"""Upstream's GetModelStatus, GetModelMetadata and HandleReloadConfigRequest over gRPC."""

import grpc
import pytest
from google.protobuf import json_format, text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
)
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from digits_model_server.models import service
from digits_model_server.models.manager import Manager, Pace
from digits_model_server.status import Status
from tests.serving._server import Server
from tests.serving.model_server._calls import (
    BAD,
    connected,
    named,
    predict,
    refused,
    serving,
    settings,
    until,
)

FIELD = ["signature_def"]


@pytest.fixture(scope="module")
def channel(server):
    with connected(server) as made:
        yield made


def status(*arguments, **more):
    return named(get_model_status_pb2.GetModelStatusRequest(), *arguments, **more)


def metadata(*arguments, fields=FIELD, **more):
    return named(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields), *arguments, **more)


def reload(config=None, **more):
    request = model_management_pb2.ReloadConfigRequest(**more)
    if config:
        text_format.Parse(config, request.config)
    return request


def ask(channel, request, timeout=20):
    models, predictions = model_service_pb2_grpc.ModelServiceStub(channel), PredictionServiceStub(channel)
    call = {
        "GetModelStatusRequest": models.GetModelStatus,
        "GetModelMetadataRequest": predictions.GetModelMetadata,
        "ReloadConfigRequest": models.HandleReloadConfigRequest,
    }[request.DESCRIPTOR.name]
    return call(request, timeout=timeout)


LIST_ONLY = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
    "supported"
)


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), BAD, "Missing ModelSpec"),
        (status("nope"), "NOT_FOUND", "Could not find any versions of model nope"),
        (status("half", version=3), "NOT_FOUND", "Could not find version 3 of model half"),
        (get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=FIELD), BAD, "Missing ModelSpec"),
        (
            metadata("half", fields=[]),
            BAD,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata("half", fields=[*FIELD, "x"]), BAD, "Metadata field x is not supported"),
        (metadata("half", version=3), "NOT_FOUND", "Servable not found for request: Specific(half, 3)"),
        (metadata("half", label="x"), BAD, "Unrecognized servable version label: x"),
        (reload(), BAD, LIST_ONLY),
        (reload("custom_model_config {}"), BAD, LIST_ONLY),
    ],
)
def test_what_is_refused_to_the_letter(channel, request_, code, said):
    assert refused(lambda request, timeout: ask(channel, request, timeout), request_) == (code, said)


def test_status_tells_the_versions_whatever_the_label(channel):
    for label in (None, "whatever"):
        answer = ask(channel, status("half", label=label))
        assert [(each.version, each.state) for each in answer.model_version_status] == [(123, 30), (122, 30)]


@pytest.mark.parametrize("name", ["many", "modern", "oldest"])
def test_metadata_is_what_the_file_holds(server, channel, models, name):
    (version,) = models[name].iterdir()
    raw = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    expected = dict(raw.meta_graphs[0].signature_def)
    assert ("__saved_model_init_op" in expected) == (name == "modern")
    answer = ask(channel, metadata(name))
    found, listed = get_model_metadata_pb2.SignatureDefMap(), get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == expected
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (name, int(version.name), "")
    status, body = server.rest(f"/v1/models/{name}/versions/{version.name}/metadata")
    told = {"name": name, "signature_name": "", "version": str(int(version.name))}
    assert status == 200 and body["model_spec"] == told
    json_format.ParseDict(body["metadata"]["signature_def"], listed)
    assert dict(listed.signature_def) == expected


def test_a_reload_brings_a_model_and_takes_one_away(models, tmp_path):
    with serving(tmp_path, {"one": models["one"]}) as server, connected(server) as channel:
        assert ask(channel, reload(settings({"half": models["half"]}))).status.error_code == 0
        assert predict(PredictionServiceStub(channel), "half", {"x": [2.0]}) == {"y": [3.0]}
        until(lambda: server.rest("/v1/models/one:predict", {"instances": [1]})[0] == 404)


def test_a_reload_can_be_turned_off(models, half, tmp_path):
    flags = (f"--model_base_path={half}", "--enable_reload_config_request=false")
    with Server(tmp_path / "log", *flags) as server, connected(server) as channel:
        with pytest.raises(grpc.RpcError, match="--enable_reload_config_request=false") as caught:
            ask(channel, reload(settings({"half": models["half"]})))
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert server.rest("/v1/models/default")[0] == 200 and server.rest("/v1/models/half")[0] == 404


def test_the_status_of_a_reload_is_in_the_response_too():
    response = model_management_pb2.ReloadConfigResponse()
    with pytest.raises(Status) as caught:
        service.reload(Manager(lambda _: None, Pace()), reload(settings({"m": "m"})), response)
    assert (response.status.error_code, response.status.error_message) == (3, caught.value.message)


def test_the_session_service_is_not_served(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
