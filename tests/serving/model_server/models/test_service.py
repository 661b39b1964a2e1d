"""Upstream's GetModelStatus and GetModelMetadata over gRPC: what is refused, in which words."""

import grpc
import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.model_server.models import service
from serving.model_server.models.manager import Manager, Pace
from serving.model_server.status import Status
from tests.serving import _models
from tests.serving.model_server._calls import serving

BAD = "INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.half_plus(base / "half" / "1")
    with (
        serving(base, {"half": base / "half"}) as server,
        grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as made,
    ):
        yield made


def named(kind, name=None, version=None, label=None, fields=()):
    request = kind(metadata_field=fields) if fields else kind()
    if name is not None:
        request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    return request


STATUS, METADATA = get_model_status_pb2.GetModelStatusRequest, get_model_metadata_pb2.GetModelMetadataRequest
FIELD = ["signature_def"]


def ask(channel, request):
    if isinstance(request, STATUS):
        return model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=20)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=20)


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (named(STATUS), BAD, "Missing ModelSpec"),
        (named(STATUS, "nope"), "NOT_FOUND", "Could not find any versions of model nope"),
        (named(STATUS, ""), "NOT_FOUND", "Could not find any versions of model "),
        (named(STATUS, "", 3), "NOT_FOUND", "Could not find version 3 of model "),
        (named(STATUS, "half", 3), "NOT_FOUND", "Could not find version 3 of model half"),
        (named(METADATA, fields=FIELD), BAD, "Missing ModelSpec"),
        (
            named(METADATA, "half"),
            BAD,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (named(METADATA, "half", fields=[*FIELD, "x"]), BAD, "Metadata field x is not supported"),
        (
            named(METADATA, "half", 3, fields=FIELD),
            "NOT_FOUND",
            "Servable not found for request: Specific(half, 3)",
        ),
        (
            named(METADATA, "half", label="x", fields=FIELD),
            BAD,
            "Unrecognized servable version label: x",
        ),
    ],
)
def test_what_is_refused_to_the_letter(channel, request_, code, said):
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, request_)
    assert (caught.value.code().name, caught.value.details()) == (code, said)


@pytest.mark.parametrize("kind", ["", "custom_model_config"])
def test_a_reload_takes_a_list_of_models_only(channel, kind):
    request = model_management_pb2.ReloadConfigRequest()
    if kind:
        getattr(request.config, kind).SetInParent()
    with pytest.raises(grpc.RpcError) as caught:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=20)
    assert (caught.value.code().name, caught.value.details()) == (
        BAD,
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
        "currently supported",
    )


def test_the_status_of_a_reload_is_in_the_response_too():
    request = model_management_pb2.ReloadConfigRequest()
    response = model_management_pb2.ReloadConfigResponse()
    request.config.model_config_list.config.add(name="m", base_path="m", model_platform="tensorflow")
    with pytest.raises(Status) as caught:
        service.reload(Manager(lambda _: None, Pace()), request, response)
    assert (response.status.error_code, response.status.error_message) == (3, caught.value.message)


def test_a_label_is_no_matter_to_the_status(channel):
    answer = ask(channel, named(STATUS, "half", label="whatever"))
    assert [(each.version, each.state) for each in answer.model_version_status] == [(1, 30)]


def test_metadata_names_the_version_and_no_signature(channel):
    answer = ask(channel, named(METADATA, "half", fields=FIELD))
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 1, "")
