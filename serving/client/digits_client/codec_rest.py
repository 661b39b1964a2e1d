"""Writes and reads the JSON of the REST API, and translates HTTP's status codes to gRPC's."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from digits_client import contract
from digits_client.codec import Images, Pixels, Spec
from digits_client.effects import DEADLINE, OK, UNAVAILABLE, Message, Reply
from digits_client.results import Outputs, VersionStatus

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
        instances: list[Any]
        if isinstance(images, Pixels):
            signature = contract.PIXELS
            shape = (images.count, contract.SIDE, contract.SIDE)
            instances = memoryview(images.data).cast("B", shape).tolist()
        else:
            signature = contract.ENCODED
            instances = [{"b64": base64.b64encode(file).decode()} for file in images.files]
        body = {"signature_name": signature, "instances": instances}
        return Message(f"{_path(spec)}:predict", json.dumps(body, separators=(",", ":")).encode())

    def parse_prediction(self, body: bytes, count: int) -> Outputs:  # noqa: ARG002 - the rows have their own count
        """Return the outputs in the rows of an answer."""
        rows = _object(body).get("predictions")
        names = (contract.DIGIT, contract.CONFIDENCE, contract.PROBABILITIES)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("no list of objects 'predictions'")
        for name in names:
            if not all(name in row for row in rows):
                raise ValueError(f"no output '{name}'")
        digits, confidences, probabilities = ([row[name] for row in rows] for name in names)
        present = [contract.ACCEPTED in row for row in rows]
        if any(present) and not all(present):
            raise ValueError(f"output '{contract.ACCEPTED}' for some images only")
        accepted = [row[contract.ACCEPTED] for row in rows] if any(present) else None
        return Outputs(digits, confidences, probabilities, None, accepted)

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
