"""Reads a version's own warm-up requests, builds the messages of both APIs from them, and compares answers.

The infrastructure check uses it. The requests cover every signature at several batch sizes, and are part of
the version. tensorflow_serving's messages need TensorFlow's package; nothing is computed with it here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits import wire
from digits.runtime.errors import StoreError
from digits_model_server import tfrecord
from digits_model_server.status import Status

Arrays = dict[str, NDArray[Any]]

TOLERANCE = 1e-5  # of a fraction, times its size above 1, between two ways to it: REST writes six digits


@dataclass(frozen=True)
class Golden:
    """One request: a PredictRequest or ClassificationRequest, its signature, its arrays."""

    request: Any
    signature: str
    inputs: Arrays
    classify: bool

    @property
    def name(self) -> str:
        """For messages: the signature and the batch size."""
        return f"{self.signature} × {len(next(iter(self.inputs.values())))}"


def read(path: Path) -> list[Golden]:
    """The requests of a warm-up file (TFRecord of PredictionLog). Raises StoreError when it is damaged."""
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        records = list(tfrecord.records(path.read_bytes()))
    except OSError as error:
        raise StoreError(f"{path} can't be read ({error.strerror}): export again") from None
    except Status as error:
        raise StoreError(f"{path} is damaged, export again: {error.message}") from None
    requests = []
    for record in records:
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError as error:
            raise StoreError(
                f"{path} has a record that is not a PredictionLog ({error}): export again"
            ) from None
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            requests.append(of_predict_request(log.predict_log.request))
        elif kind == "classify_log":
            requests.append(of_classify_request(log.classify_log.request))
        else:
            raise StoreError(f"{path} has a {kind or 'record without a request'}: export again")
    present = {golden.signature for golden in requests}
    if missing := sorted(set(wire.SIGNATURES) - present):
        raise StoreError(f"{path} has no request for {', '.join(missing)}: export again")
    return requests


def of_predict_request(request: Any) -> Golden:
    """A PredictRequest with its arrays."""
    import tensorflow as tf

    signature = request.model_spec.signature_name or wire.PIXELS
    inputs = {alias: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}
    return Golden(request, signature, inputs, classify=False)


def of_classify_request(request: Any) -> Golden:
    """A ClassificationRequest with its Examples serialized, as the signature takes them."""
    examples = [example.SerializeToString() for example in request.input.example_list.examples]
    inputs = {wire.EXAMPLES: np.asarray(examples, dtype=object)}
    return Golden(request, request.model_spec.signature_name, inputs, classify=True)


def as_predict(golden: Golden, model: str) -> Any:
    """The request as a PredictRequest to a model, which also reaches `classify` without the Classify API."""
    return predict_request(model, golden.signature, golden.inputs)


def predict_request(model: str, signature: str, inputs: Mapping[str, NDArray[Any]]) -> Any:
    """A PredictRequest of arrays."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for alias, value in inputs.items():
        dtype = tf.string if value.dtype == object else None
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value, dtype=dtype, shape=value.shape))
    return request


def of_predict(response: Any) -> Arrays:
    """The arrays of a PredictResponse."""
    import tensorflow as tf

    return {alias: tf.make_ndarray(proto) for alias, proto in response.outputs.items()}


def of_classify(response: Any) -> Arrays:
    """The arrays of a ClassificationResponse, named as the signature names them."""
    rows = [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]
    return _classes(rows)


def rest_body(golden: Golden, *, classify: bool) -> bytes:
    """The JSON of a request, for `:classify` or, in rows, for `:predict`."""
    if classify:
        examples = [
            {key: _value(value) for key, value in example.features.feature.items()}
            for example in golden.request.input.example_list.examples
        ]
        return json.dumps({"signature_name": golden.signature, "examples": examples}).encode()
    columns = {alias: _listed(values) for alias, values in golden.inputs.items()}
    if len(columns) == 1:
        (instances,) = columns.values()
    else:
        instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"signature_name": golden.signature, "instances": instances}).encode()


def of_rest(body: bytes, *, classify: bool) -> Arrays:
    """The arrays of a REST answer in rows. Raises StoreError when it is not one."""
    try:
        tree = json.loads(body)
        if classify:
            return _classes(tree["results"])
        rows = tree["predictions"]
        return {key: np.asarray([row[key] for row in rows]) for key in rows[0]}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreError(f"its REST answer can't be read ({error!r}): {body[:200]!r}") from None


def difference(expected: Mapping[str, NDArray[Any]], actual: Mapping[str, NDArray[Any]]) -> str | None:
    """How two answers differ, None if they don't: fractions by `TOLERANCE`, all else exactly."""
    if set(expected) != set(actual):
        return f"answered {', '.join(sorted(actual)) or 'nothing'}, expected {', '.join(sorted(expected))}"
    for alias, right in expected.items():
        value = np.asarray(actual[alias])
        if value.shape != right.shape:
            return f"{alias} has the shape {list(value.shape)}, expected {list(right.shape)}"
        if right.dtype.kind == "f":
            apart = np.abs(value.astype(np.float64) - right) / np.maximum(1.0, np.abs(right))
            worst = float(np.max(apart, initial=0.0))
            if not worst <= TOLERANCE:
                return f"{alias} is off by {worst:.2g}, at most {TOLERANCE:g} allowed"
        elif not np.array_equal(_text(value), _text(right)):
            return f"{alias} differs"
    return None


def _classes(rows: Any) -> Arrays:
    labels = [[label for label, _ in row] for row in rows]
    scores = [[score for _, score in row] for row in rows]
    return {wire.CLASSES: np.asarray(labels), wire.SCORES: np.asarray(scores, dtype=np.float32)}


def _text(value: NDArray[Any]) -> NDArray[Any]:
    """Strings as text, whether they are bytes or not; numbers unchanged."""
    if value.dtype.kind not in "OSU":
        return value
    flat = [each.decode() if isinstance(each, bytes) else str(each) for each in value.ravel()]
    return np.asarray(flat).reshape(value.shape)


def _listed(values: NDArray[Any]) -> list[Any]:
    """An input in rows, as the REST API takes it."""
    listed: list[Any] = [_b64(value) for value in values] if values.dtype == object else values.tolist()
    return listed


def _b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _value(feature: Any) -> Any:
    """A feature of an Example as the REST API takes it."""
    kind = feature.WhichOneof("kind")
    if kind != "bytes_list":
        raise StoreError(
            f"a warm-up Example has a {kind or 'feature without a value'}, expected bytes: export again"
        )
    values = [_b64(value) for value in feature.bytes_list.value]
    return values[0] if len(values) == 1 else values
