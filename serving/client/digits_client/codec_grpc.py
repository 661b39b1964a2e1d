"""The gRPC language: protobuf messages of PredictionService and ModelService."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from digits_client import contract, messages, tensors
from digits_client.codec import Images, Pixels, Spec
from digits_client.exchange import Message
from digits_client.outputs import Outputs
from digits_client.results import VersionStatus

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class GrpcCodec:
    """See digits_client.codec."""

    tells_version = True

    def predict(self, spec: Spec, images: Images) -> Message:
        """A PredictRequest: pixels as raw bytes, pictures as a list of strings."""
        request = messages.PredictRequest()
        _name(request.model_spec, spec)
        if isinstance(images, Pixels):
            request.model_spec.signature_name = contract.PIXELS
            tensor = request.inputs[contract.IMAGES]
            tensor.dtype, tensor.tensor_content = tensors.UINT8, images.data
            sizes = [images.count, contract.SIDE, contract.SIDE]
        else:
            request.model_spec.signature_name = contract.ENCODED
            tensor = request.inputs[contract.IMAGE_BYTES]
            tensor.dtype = tensors.STRING
            tensor.string_val.extend(images.files)
            sizes = [images.count]
        for size in sizes:
            tensor.tensor_shape.dim.add(size=size)
        return Message(PREDICT, request.SerializeToString())

    def predicted(self, body: bytes, count: int) -> Outputs:
        """The outputs of a PredictResponse, and its version."""
        response = _parse(messages.PredictResponse, body)
        found = response.outputs
        for name in (contract.DIGIT, contract.CONFIDENCE, contract.PROBABILITIES):
            if name not in found:  # to read a missing key of a protobuf map would create it
                raise ValueError(f"no output '{name}'")
        if not response.model_spec.HasField("version"):
            raise ValueError("no model version")
        accepted = None
        if contract.ACCEPTED in found:
            flags = tensors.read(found[contract.ACCEPTED], tensors.BOOL, (count,))
            accepted = [bool(flag) for flag in flags]
        flat = tensors.read(found[contract.PROBABILITIES], tensors.FLOAT, (count, contract.DIGITS))
        return Outputs(
            tensors.read(found[contract.DIGIT], tensors.INT64, (count,)),
            tensors.read(found[contract.CONFIDENCE], tensors.FLOAT, (count,)),
            [flat[i : i + contract.DIGITS] for i in range(0, len(flat), contract.DIGITS)],
            response.model_spec.version.value,
            accepted,
        )

    def status(self, spec: Spec) -> Message:
        """A GetModelStatusRequest."""
        request = messages.GetModelStatusRequest()
        _name(request.model_spec, spec)
        return Message(STATUS, request.SerializeToString())

    def statuses(self, body: bytes) -> tuple[VersionStatus, ...]:
        """The versions of a GetModelStatusResponse."""
        response = _parse(messages.GetModelStatusResponse, body)
        if not response.model_version_status:  # a server says NOT_FOUND of a model without versions
            raise ValueError("no versions")
        return tuple(
            VersionStatus(each.version, STATES.get(each.state, "UNKNOWN"), each.status.error_message)
            for each in response.model_version_status
        )


def _name(model_spec: Any, spec: Spec) -> None:
    model_spec.name = spec.model
    if spec.version is not None:
        model_spec.version.value = spec.version


def _parse(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise ValueError("bytes that are no message of TensorFlow Serving") from None
