"""The REST API: predict, classify, regress, status and metadata, from an HTTP request to its answer.

`rest.server` connects it to a port.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from numpy.typing import NDArray

from digits_model_server import limits, metrics, status
from digits_model_server.inference import examples, predict
from digits_model_server.inference.predict import Settings, Work
from digits_model_server.models import service
from digits_model_server.models.manager import Manager
from digits_model_server.request_log import facts
from digits_model_server.request_log.facts import Entry, FactsLog
from digits_model_server.request_log.log import RequestLog
from digits_model_server.request_log.records import Messages
from digits_model_server.rest.json import decode, encode, scan, text
from digits_model_server.rest.json import examples as json_examples
from digits_model_server.runtime import saved_model, tensors
from digits_model_server.status import OK, Status, invalid

_LARGEST = 2**63 - 1
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
GET = re.compile(
    r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?(?P<metadata>/metadata)?",
    re.IGNORECASE,
)
API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Target:
    """The model that a path names, with its version, its label or neither."""

    name: str
    version: int | None
    label: str | None

    def write(self, spec: Any) -> None:
        """Fill an empty ModelSpec."""
        spec.name = self.name
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label


def parse_target(found: re.Match[str]) -> Target:
    """Return the target of a path that POST or GET matched. Raises Status."""
    version = found["version"]
    if version is not None and int(version) > _LARGEST:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    label = found["label"]
    return Target(
        unquote(found["name"] or ""), None if version is None else int(version), label and unquote(label)
    )


def model_and_verb(verb: str, path: str) -> tuple[str, str] | None:
    """Return the model and "predict" or its like of a request, each "" where it is not named; None outside
    the API.
    """
    if not API.fullmatch(path):
        return None
    found = POST.fullmatch(path) if verb == "POST" else GET.fullmatch(path) if verb == "GET" else None
    if not found:
        return "", ""
    return unquote(found["name"] or ""), found["verb"] if verb == "POST" else ""


@dataclass(frozen=True)
class PredictExchange:
    """A REST predict and its answer, as arrays. version: the one that answered."""

    target: Target
    signature: str
    version: int
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]

    def messages(self) -> Messages:
        """Return a PredictRequest and a PredictResponse of the same content."""
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


JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """An HTTP response. code: the TensorFlow code that its status stands for."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    code: int = OK  # what the status stands for


class RestApi:
    """Answers REST requests for the models of a manager."""

    def __init__(
        self,
        manager: Manager,
        settings: Settings,
        cors: bool = False,
        log: RequestLog | None = None,
        facts: FactsLog | None = None,
    ) -> None:
        self._manager, self._settings, self._cors = manager, settings, cors
        self._log, self._facts = log, facts

    async def reply(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float | None
    ) -> Reply:
        """Answer one request, invalid ones too.

        path: with its query. seconds: time limit of a run, None for none.
        """
        if not API.fullmatch(path):
            return Reply(
                404,
                b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>",
                "text/html",
            )
        extra = _CORS if self._cors else {}
        began = time.perf_counter()
        try:
            if verb == "OPTIONS":
                origin = headers.get("Origin", "")
                allowed = "http://" in origin or "https://" in origin
                code = status.OK if allowed else status.FAILED_PRECONDITION
                return Reply(status.HTTP[code], b"", headers=extra, code=code)
            text = await self._answer(verb, path, headers, body, seconds)
            return Reply(200, text.encode("utf-8", "surrogateescape"), headers=extra)
        except Status as error:
            name, api = model_and_verb(verb, path) or ("", "")
            if self._facts and api and name in self._manager.models:
                self._facts.put(Entry(name, "", None, error.code, time.perf_counter() - began))
            return error_reply(error, extra)

    async def _answer(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float | None
    ) -> str:
        if verb == "POST" and (found := POST.fullmatch(path)):
            if "gzip" in headers.get("Content-Encoding", ""):
                body = limits.gunzip(body, self._settings.limits)
            target = parse_target(found)
            work = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
            if found["verb"] in work:  # the path is matched in any case, the verb in lower case only
                return await work[found["verb"]](target, body, seconds)
        if verb == "GET" and (found := GET.fullmatch(path)):
            target = parse_target(found)
            if not target.name:
                raise invalid("Missing model name in request.")
            return self._metadata(target) if found["metadata"] == "/metadata" else self._status(target)
        raise invalid(f"Malformed request: {verb} {path}")

    async def _predict(self, target: Target, body: bytes, seconds: float | None) -> str:
        limits, began = self._settings.limits, time.perf_counter()
        bounds = self._bounds(seconds)
        scan.check_parts(body, limits.json_parts)
        if len(body) > scan.SMALL:
            self._scan(target, body)
        document = text.parse(body)
        bounds.seconds_left()
        name = text.signature_name(document, saved_model.DEFAULT)
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            model = version.loaded
            signature = model.signatures.get(name)
            if signature is None:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            metrics.record_signature(name)
            if not signature.inputs:
                key = document.get("signature_name") or "DEFAULT"
                raise invalid(f"Failed to get input map for signature: {key}")
            arrays, row = decode.predict_inputs(document, signature, bounds)
            if self._settings.method_names:
                predict.check_method(signature)
            predict.check_names(signature, arrays)
            wanted = list(signature.outputs)
            answers = await predict.answer(model, signature, arrays, wanted, limits, bounds.seconds_left())
            outputs = dict(zip(wanted, answers, strict=True))
            answer = encode.body(outputs, row)
            if self._log and (asked := self._log.sample(target.name)):
                done = PredictExchange(target, name, version.number, arrays, outputs)
                size = len(body) + len(answer)
                self._log.put("Predict", target.name, asked, size, done.messages)
            if self._facts:
                size, took = len(body) + len(answer), time.perf_counter() - began
                entry = Entry(target.name, name, version.number, OK, took, size, lambda: (arrays, outputs))
                self._facts.put(entry)
            return answer
        finally:
            version.leave()

    async def _classify(self, target: Target, body: bytes, seconds: float | None) -> str:
        from tensorflow_serving.apis import classification_pb2

        request, response = (
            classification_pb2.ClassificationRequest(),
            classification_pb2.ClassificationResponse(),
        )
        await self._on_examples(examples.classify, target, body, seconds, request, response)
        return json_examples.classifications(response.result)

    async def _regress(self, target: Target, body: bytes, seconds: float | None) -> str:
        from tensorflow_serving.apis import regression_pb2

        request, response = regression_pb2.RegressionRequest(), regression_pb2.RegressionResponse()
        await self._on_examples(examples.regress, target, body, seconds, request, response)
        return json_examples.regressions(response.result)

    async def _on_examples(
        self, work: Work, target: Target, body: bytes, seconds: float | None, request: Any, response: Any
    ) -> None:
        """Classify or regress the examples of a body; fill request and response. Raises Status."""
        api = work.__name__.capitalize()
        bounds, began = self._bounds(seconds), time.perf_counter()
        scan.check_parts(body, self._settings.limits.json_parts)
        if len(body) > scan.SMALL:
            scan.check_examples(body, self._settings.limits)
        document = text.parse(body)
        target.write(request.model_spec)
        request.model_spec.signature_name = text.signature_name(document, saved_model.DEFAULT)
        json_examples.fill(request.input, document, bounds)
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            await work(version.loaded, request, response, self._settings, bounds.seconds_left())
            response.model_spec.version.value = version.number
            if self._log:
                self._log.record(api, request, response)
            if self._facts:
                size, took = len(body) + response.ByteSize(), time.perf_counter() - began
                exchange = partial(facts.arrays, api, request, response)
                name = request.model_spec.signature_name
                self._facts.put(Entry(target.name, name, version.number, OK, took, size, exchange))
        finally:
            version.leave()

    def _scan(self, target: Target, body: bytes) -> None:
        version = self._manager.enter(target.name, target.version, target.label)
        try:
            scan.check_predict(body, version.loaded.signatures.values(), self._settings.limits)
        finally:
            version.leave()

    def _bounds(self, seconds: float | None) -> decode.Bounds:
        end = math.inf if seconds is None else time.monotonic() + seconds
        return decode.Bounds(self._settings.limits.json_depth, end)

    def _status(self, target: Target) -> str:
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        target.write(request.model_spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        service.model_status(self._manager, request, response)
        return str(
            json_format.MessageToJson(
                response,
                always_print_fields_with_no_presence=True,
                preserving_proto_field_name=True,
                indent=1,
            )
        )

    def _metadata(self, target: Target) -> str:
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[service.FIELD])
        target.write(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        service.metadata(self._manager, request, response)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[service.FIELD].Unpack(signatures)
        options = {"always_print_fields_with_no_presence": True, "preserving_proto_field_name": True}
        spec = json_format.MessageToDict(response.model_spec, **options)
        listed = json_format.MessageToDict(signatures, **options)
        return json.dumps({"model_spec": spec, "metadata": {service.FIELD: listed}}, indent=1)


_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


def error_reply(error: Status, headers: dict[str, str] | None = None) -> Reply:
    """Return the response for an error."""
    text = f'{{\n    "error": {json.dumps(error.message, ensure_ascii=False)}\n}}'
    return Reply(
        status.HTTP[error.code], text.encode("utf-8", "replace"), headers=headers or {}, code=error.code
    )
