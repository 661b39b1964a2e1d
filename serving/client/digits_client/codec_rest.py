"""Writes and reads the JSON of the REST API, and translates HTTP's status codes to gRPC's."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from digits_client import contract
from digits_client.codec import Images, Input, Spec
from digits_client.effects import DEADLINE, OK, UNAVAILABLE, Message, Reply
from digits_client.results import LineOutputs, Outputs, VersionStatus

# TensorFlow Serving's own, and those of proxies in front of it
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    411: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: DEADLINE,
}


class RestCodec:
    """The Codec for REST."""

    names_version = False

    def predict(self, spec: Spec, images: Images) -> Message:
        """Return a request in row format: pixels as nested lists of integers, pictures as base64."""
        columns = {name: _values(given) for name, given in images.inputs.items()}
        instances: list[Any]
        if len(columns) == 1:
            (instances,) = columns.values()
        else:
            instances = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        body = {"signature_name": images.signature, "instances": instances}
        return Message(f"{_path(spec)}:predict", json.dumps(body, separators=(",", ":")).encode())

    def parse_prediction(self, body: bytes, count: int) -> Outputs:  # noqa: ARG002 - the rows have their own count
        """Return the outputs in the rows of an answer."""
        rows = _rows(body)
        names = (contract.DIGIT, contract.CONFIDENCE, contract.PROBABILITIES)
        digits, confidences, probabilities = (_output(rows, name) for name in names)
        present = [contract.ACCEPTED in row for row in rows]
        if any(present) and not all(present):
            raise ValueError(f"output '{contract.ACCEPTED}' for some images only")
        accepted = [row[contract.ACCEPTED] for row in rows] if any(present) else None
        return Outputs(digits, confidences, probabilities, None, accepted)

    def parse_lines(self, body: bytes, count: int) -> LineOutputs:  # noqa: ARG002 - the rows have their own count
        """Return the outputs in the rows of an answer for lines."""
        rows = _rows(body)
        names = [name for name in LineOutputs.__slots__ if name != "version"]
        found: dict[str, Any] = {name: _output(rows, name) for name in names}
        for name in (contract.CHARACTER, contract.PROBABILITY, contract.POSITION, contract.COLUMNS):
            if not all(isinstance(row, list) for row in found[name]):
                raise ValueError(f"an output '{name}' that is no list")
        return LineOutputs(**found)

    def status(self, spec: Spec) -> Message:
        """Return a status request."""
        return Message(_path(spec), verb="GET")

    def parse_status(self, body: bytes) -> tuple[VersionStatus, ...]:
        """Return the versions of an answer."""
        try:
            return tuple(
                VersionStatus(int(each["version"]), str(each["state"]), str(each["status"]["error_message"]))
                for each in _object(body)["model_version_status"]
            )
        except (KeyError, TypeError):
            raise ValueError("no list of versions 'model_version_status'") from None


def reply(status: int, body: bytes) -> Reply:
    """Return an HTTP response as a Reply."""
    if status == 200:
        return Reply(OK, body)
    try:
        text = str(_object(body)["error"])
    except (ValueError, KeyError):
        text = f"HTTP {status} {body[:200].decode(errors='replace')}"
    return Reply(CODES.get(status, "UNKNOWN"), text=text)


def _values(given: Input) -> list[Any]:
    if isinstance(given.values, bytes):
        pixels: list[Any] = memoryview(given.values).cast("B", given.shape).tolist()
        return pixels
    return [{"b64": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for v in given.values]


def _rows(body: bytes) -> list[dict[str, Any]]:
    rows = _object(body).get("predictions")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of objects 'predictions'")
    return rows


def _output(rows: list[dict[str, Any]], name: str) -> list[Any]:
    if not all(name in row for row in rows):
        raise ValueError(f"no output '{name}'")
    return [row[name] for row in rows]


def _path(spec: Spec) -> str:
    version = "" if spec.version is None else f"/versions/{spec.version}"
    return f"/v1/models/{quote(spec.model, safe='')}{version}"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("text that is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("JSON that is not an object")
    return value
