"""An answered request → the PredictionLog that stands for it, which is also a record to warm up with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from serving.model_server import tensors
from serving.model_server.rest_paths import Target

# The name of a call → the field of PredictionLog, which is a message with a request and a response.
FIELDS = {
    "Predict": "predict_log",
    "Classify": "classify_log",
    "Regress": "regress_log",
    "MultiInference": "multi_inference_log",
}
Messages = tuple[Any, Any]  # request, response


@dataclass(frozen=True)
class Predicted:
    """What the messages of a REST predict would hold. version: the one that answered."""

    target: Target
    signature: str
    version: int
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]

    def messages(self) -> Messages:
        """The two messages."""
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


def spec_of(api: str, message: Any) -> Any:
    """The ModelSpec of a request or a response; that of the first task or result of a MultiInference."""
    if api != "MultiInference":
        return message.model_spec
    listed = message.tasks if hasattr(message, "tasks") else message.results
    return listed[0].model_spec


def serialized(api: str, messages: Messages, rate: float, tags: Sequence[str]) -> bytes:
    """The PredictionLog with its metadata."""
    from tensorflow_serving.apis import prediction_log_pb2

    request, response = messages
    log = prediction_log_pb2.PredictionLog()
    about = log.log_metadata
    about.model_spec.CopyFrom(spec_of(api, response))
    about.sampling_config.sampling_rate = rate
    about.saved_model_tags.extend(tags)
    about.timestamp_secs = int(time.time())
    body = getattr(log, FIELDS[api])
    body.request.CopyFrom(request)
    body.response.CopyFrom(response)
    data: bytes = log.SerializeToString()
    return data
