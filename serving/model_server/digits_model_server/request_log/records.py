"""Writes an answered request as a PredictionLog, which can also be replayed as a warm-up record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

# The name of a call → the field of PredictionLog, which is a message with a request and a response.
FIELDS = {
    "Predict": "predict_log",
    "Classify": "classify_log",
    "Regress": "regress_log",
    "MultiInference": "multi_inference_log",
}
Messages = tuple[Any, Any]  # request, response


def spec_of(api: str, message: Any) -> Any:
    """Return the ModelSpec of a request or a response; a MultiInference's is that of its first task or
    result.
    """
    if api != "MultiInference":
        return message.model_spec
    listed = message.tasks if hasattr(message, "tasks") else message.results
    return listed[0].model_spec


def serialize(api: str, messages: Messages, rate: float, tags: Sequence[str]) -> bytes:
    """Return the serialized PredictionLog with its metadata."""
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
