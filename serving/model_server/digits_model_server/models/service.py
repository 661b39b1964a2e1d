"""Answers GetModelMetadata, GetModelStatus and HandleReloadConfigRequest, for gRPC and REST."""

from __future__ import annotations

from typing import Any

from digits_model_server import status
from digits_model_server.models import config
from digits_model_server.models.manager import Manager
from digits_model_server.status import Status, invalid

FIELD = "signature_def"


def metadata(manager: Manager, request: Any, response: Any) -> None:
    """Answer a GetModelMetadataRequest: the SignatureDefs as they stand in the file. Raises Status."""
    from tensorflow_serving.apis import get_model_metadata_pb2

    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != FIELD:
            raise invalid(f"Metadata field {name} is not supported")
    with manager.model(request.model_spec) as version:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in version.loaded.raw.items():
            signatures.signature_def[key].CopyFrom(definition)
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version.number
    response.metadata[FIELD].Pack(signatures)


def model_status(manager: Manager, request: Any, response: Any) -> None:
    """Answer a GetModelStatusRequest: every version ever seen, newest first. Raises Status."""
    spec = request.model_spec
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    number = spec.version.value if spec.HasField("version") else None
    for version, state, error in manager.states(spec.name, number):
        listed = response.model_version_status.add(version=version, state=state)
        listed.status.error_code = error.code if error else status.OK
        listed.status.error_message = error.message if error else ""


def reload(manager: Manager, request: Any, response: Any) -> None:
    """Apply a ReloadConfigRequest; its status is in the response too. Raises Status."""
    try:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                "currently supported"
            )
        manager.apply(config.from_proto(request.config))
    except Status as error:
        response.status.error_code = error.code
        response.status.error_message = error.message
        raise
    response.status.error_code = status.OK
