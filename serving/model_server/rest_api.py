"""An HTTP request → its answer: predict, classify, regress, status, metadata. No sockets here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from serving.model_server import (
    about,
    classify,
    json_answers,
    json_examples,
    json_tensors,
    json_text,
    limits,
    predict,
    regress,
    savedmodel,
    statuses,
)
from serving.model_server.manager import Manager
from serving.model_server.predict import Settings
from serving.model_server.statuses import Status, invalid

JSON = "application/json"
_LARGEST = 2**63 - 1
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(
    r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?(?P<metadata>/metadata)?",
    re.IGNORECASE,
)
_API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Target:
    name: str
    version: int | None
    label: str | None


class RestApi:
    """Answers for the models of a manager."""

    def __init__(self, manager: Manager, settings: Settings, cors: bool = False) -> None:
        self._manager, self._settings, self._cors = manager, settings, cors

    async def reply(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> Reply:
        """Answer one request, bad ones too. path: with its query. seconds: what a run may take."""
        if not _API.fullmatch(path):
            return Reply(
                404,
                b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>",
                "text/html",
            )
        extra = _CORS if self._cors else {}
        try:
            if verb == "OPTIONS":
                origin = headers.get("Origin", "")
                return Reply(200 if "http://" in origin or "https://" in origin else 400, b"", headers=extra)
            text = await self._answer(verb, path, headers, body, seconds)
            return Reply(200, text.encode("utf-8", "surrogateescape"), headers=extra)
        except Status as error:
            return failure(error, extra)

    async def _answer(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> str:
        if verb == "POST" and (found := _POST.fullmatch(path)):
            if "gzip" in headers.get("Content-Encoding", ""):
                body = limits.gunzip(body, self._settings.limits)
            target = _target(found)
            work = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
            if found["verb"] in work:  # the path is matched in any case, the verb in lower case only
                return await work[found["verb"]](target, body, seconds)
        if verb == "GET" and (found := _GET.fullmatch(path)):
            target = _target(found)
            if not target.name:
                raise invalid("Missing model name in request.")
            return self._metadata(target) if found["metadata"] == "/metadata" else self._status(target)
        raise invalid(f"Malformed request: {verb} {path}")

    async def _predict(self, target: _Target, body: bytes, seconds: float) -> str:
        limits = self._settings.limits
        document = json_text.parse(body, limits.json_depth)
        name = json_text.signature_name(document, savedmodel.DEFAULT)
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            model = version.loaded
            signature = model.signatures.get(name)
            if signature is None:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            if not signature.inputs:
                named = document.get("signature_name") or "DEFAULT"
                raise invalid(f"Failed to get input map for signature: {named}")
            arrays, row = json_tensors.predict_inputs(document, signature, limits.json_depth)
            if self._settings.method_names:
                predict.check_method(signature)
            predict.check_names(signature, arrays)
            wanted = list(signature.outputs)
            answers = await predict.answer(model, signature, arrays, wanted, limits, seconds)
            return json_answers.body(dict(zip(wanted, answers, strict=True)), row)
        finally:
            version.leave()

    async def _classify(self, target: _Target, body: bytes, seconds: float) -> str:
        from tensorflow_serving.apis import classification_pb2

        request = self._filled(classification_pb2.ClassificationRequest(), target, body)
        response = classification_pb2.ClassificationResponse()
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            await classify.classify(version.loaded, request, response, self._settings, seconds)
        finally:
            version.leave()
        return json_examples.classifications(response.result)

    async def _regress(self, target: _Target, body: bytes, seconds: float) -> str:
        from tensorflow_serving.apis import regression_pb2

        request = self._filled(regression_pb2.RegressionRequest(), target, body)
        response = regression_pb2.RegressionResponse()
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            await regress.regress(version.loaded, request, response, self._settings, seconds)
        finally:
            version.leave()
        return json_examples.regressions(response.result)

    def _filled(self, request: Any, target: _Target, body: bytes) -> Any:
        """A classify or regress request with the examples of a body. Raises Status."""
        document = json_text.parse(body, self._settings.limits.json_depth)
        request.model_spec.name = target.name
        request.model_spec.signature_name = json_text.signature_name(document, savedmodel.DEFAULT)
        json_examples.fill(request.input, document)
        return request

    def _status(self, target: _Target) -> str:
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        _name(request.model_spec, target)
        response = get_model_status_pb2.GetModelStatusResponse()
        about.status(self._manager, request, response)
        return str(
            json_format.MessageToJson(
                response,
                always_print_fields_with_no_presence=True,
                preserving_proto_field_name=True,
                indent=1,
            )
        )

    def _metadata(self, target: _Target) -> str:
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[about.FIELD])
        _name(request.model_spec, target)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        about.metadata(self._manager, request, response)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[about.FIELD].Unpack(signatures)
        options = {"always_print_fields_with_no_presence": True, "preserving_proto_field_name": True}
        spec = json_format.MessageToDict(response.model_spec, **options)
        listed = json_format.MessageToDict(signatures, **options)
        return json.dumps({"model_spec": spec, "metadata": {about.FIELD: listed}}, indent=1)


_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


def failure(error: Status, headers: dict[str, str] | None = None) -> Reply:
    """The answer that an error is."""
    text = f'{{\n    "error": {json.dumps(error.message, ensure_ascii=False)}\n}}'
    return Reply(statuses.HTTP[error.code], text.encode("utf-8", "replace"), headers=headers or {})


def _target(found: re.Match[str]) -> _Target:
    version = found["version"]
    if version is not None and int(version) > _LARGEST:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    label = found["label"]
    return _Target(
        unquote(found["name"] or ""), None if version is None else int(version), label and unquote(label)
    )


def _name(spec: Any, target: _Target) -> None:
    spec.name = target.name
    if target.version is not None:
        spec.version.value = target.version
    elif target.label is not None:
        spec.version_label = target.label
