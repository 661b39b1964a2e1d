"""The gRPC messages that stand for a REST predict in the request log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from serving.model_server.request_log.records import Messages
from serving.model_server.rest.rest_paths import Target
from serving.model_server.runtime import tensors


@dataclass(frozen=True)
class Predicted:
    """A REST predict and its answer, as arrays. version: the one that answered."""

    target: Target
    signature: str
    version: int
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]

    def messages(self) -> Messages:
        """The PredictRequest and the PredictResponse of the same content."""
        from tensorflow_serving.apis import predict_pb2

        request, response = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
        self.target.write(request.model_spec)
        request.model_spec.signature_name = response.model_spec.signature_name = self.signature
        response.model_spec.name = self.target.name
        response.model_spec.version.value = self.version
        for into, arrays in ((request.inputs, self.inputs), (response.outputs, self.outputs)):
            for alias, array in arrays.items():
                tensors.fill(into[alias], array, as_content=True)
        return request, response
