"""Upstream's GetModelStatus, GetModelMetadata and HandleReloadConfigRequest over gRPC."""

import pytest
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from digits_model_server.models import config, service
from digits_model_server.models.manager import Manager, Pace
from digits_model_server.status import Status
from tests.serving.model_server import _calls
from tests.serving.model_server._calls import BAD, named, refused, reload

FIELD = ["signature_def"]
LIST_ONLY = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
    "supported"
)


def status(*arguments, **more):
    return named(GetModelStatusRequest(), *arguments, **more)


def metadata(*arguments, fields=FIELD, **more):
    return named(GetModelMetadataRequest(metadata_field=fields), *arguments, **more)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (GetModelStatusRequest(), BAD, "Missing ModelSpec"),
        (status("nope"), "NOT_FOUND", "Could not find any versions of model nope"),
        (status("half", version=3), "NOT_FOUND", "Could not find version 3 of model half"),
        (GetModelMetadataRequest(metadata_field=FIELD), BAD, "Missing ModelSpec"),
        (
            metadata("half", fields=[]),
            BAD,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata("half", fields=[*FIELD, "x"]), BAD, "Metadata field x is not supported"),
        (metadata("half", version=3), "NOT_FOUND", "Servable not found for request: Specific(half, 3)"),
        (metadata("half", label="x"), BAD, "Unrecognized servable version label: x"),
        ("", BAD, LIST_ONLY),
        ("custom_model_config {}", BAD, LIST_ONLY),
    ],
)
def test_what_is_refused_to_the_letter(channel, client, asked, code, said):
    if isinstance(asked, str):
        found = refused(reload, channel, asked)
    elif isinstance(asked, GetModelStatusRequest):
        found = refused(ModelServiceStub(channel).GetModelStatus, asked)
    else:
        found = refused(client.GetModelMetadata, asked)
    assert found == (code, said)


def test_status_tells_the_versions_whatever_the_label(channel):
    for label in (None, "whatever"):
        answer = ModelServiceStub(channel).GetModelStatus(status("half", label=label), timeout=20)
        assert [(each.version, each.state) for each in answer.model_version_status] == [(123, 30), (122, 30)]


@pytest.mark.parametrize("name", ["many", "modern", "oldest"])
def test_metadata_is_what_the_file_holds(server, client, models, name):
    (version,) = models[name].iterdir()
    raw = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    expected = dict(raw.meta_graphs[0].signature_def)
    assert ("__saved_model_init_op" in expected) == (name == "modern")
    answer = client.GetModelMetadata(metadata(name), timeout=20)
    found, listed = SignatureDefMap(), SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == expected
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (name, int(version.name), "")
    code, body = server.rest(f"/v1/models/{name}/versions/{version.name}/metadata")
    told = {"name": name, "signature_name": "", "version": str(int(version.name))}
    assert code == 200 and body["model_spec"] == told
    json_format.ParseDict(body["metadata"]["signature_def"], listed)
    assert dict(listed.signature_def) == expected


def test_a_reload_brings_a_model_and_takes_one_away(models, tmp_path):
    one, half = ({name: models[name]} for name in ("one", "half"))
    with _calls.serving(tmp_path, one) as server, _calls.connected(server) as channel:
        assert reload(channel, _calls.settings(half)).status.error_code == 0
        assert _calls.predict(PredictionServiceStub(channel), "half", {"x": [2.0]}) == {"y": [3.0]}
        _calls.until(lambda: server.rest("/v1/models/one:predict", {"instances": [1]})[0] == 404)


def test_a_reload_can_be_turned_off(launch, models, half):
    with launch(half, "--enable_reload_config_request=false") as server, _calls.connected(server) as channel:
        code, said = refused(reload, channel, _calls.settings({"half": models["half"]}))
        assert code == "UNIMPLEMENTED" and "--enable_reload_config_request=false" in said
        assert server.rest("/v1/models/default")[0] == 200 and server.rest("/v1/models/half")[0] == 404


def test_the_status_of_a_reload_is_in_the_response_too():
    request = model_management_pb2.ReloadConfigRequest(config=config.parse(_calls.settings({"m": "m"})))
    response = model_management_pb2.ReloadConfigResponse()
    with pytest.raises(Status) as caught:
        service.reload(Manager(lambda _: None, Pace()), request, response)
    assert (response.status.error_code, response.status.error_message) == (3, caught.value.message)


def test_the_session_service_is_not_served(channel):
    call = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refused(call, b"")[0] == "UNIMPLEMENTED"
