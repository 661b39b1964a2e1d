"""Wrappers around the calls of gRPC and REST that count them or write them to the request log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from digits_model_server import status
from digits_model_server.grpc.service import Answer, Method
from digits_model_server.metrics import GRPC, REST, Observer
from digits_model_server.request_log import facts
from digits_model_server.request_log.facts import Entry, FactsLog
from digits_model_server.request_log.log import RequestLog
from digits_model_server.request_log.records import FIELDS
from digits_model_server.rest import api as rest_api
from digits_model_server.rest.api import Reply
from digits_model_server.rest.server import Api
from digits_model_server.runtime import saved_model
from digits_model_server.status import Status

Known = Callable[[str], bool]  # whether a model of that name is served; others count under ""
COUNTED = {"Predict", "Classify", "Regress"}  # as upstream; the others have no count


def with_metrics(listed: Mapping[str, Method], observer: Observer, known: Known) -> dict[str, Method]:
    """Return the same methods, with those that upstream counts counted."""
    found = {}
    for path, method in listed.items():
        api = path.rpartition("/")[2]
        answer = method.answer
        if api in COUNTED:
            answer = _counted(api, answer, observer, known)
        elif api == "MultiInference":
            answer = _with_examples(answer, observer)
        elif api == "HandleReloadConfigRequest":
            answer = _with_increases(answer, observer)
        found[path] = replace(method, answer=answer)
    return found


def _counted(api: str, answer: Answer, observer: Observer, known: Known) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        name = request.model_spec.name
        began, code = time.perf_counter(), status.INTERNAL
        current = observer.request_started(name, api)
        try:
            await answer(request, response, seconds)
            code = status.OK
        except Status as error:
            code = error.code
            raise
        except GeneratorExit:
            code = status.CANCELLED  # the client disconnected while its batch was running
            raise
        finally:
            counts = name if known(name) else ""
            observer.request_ended(current, counts, api, GRPC, code, time.perf_counter() - began)

    return on_call


def _with_examples(answer: Answer, observer: Observer) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        await answer(request, response, seconds)
        kind = request.input.WhichOneof("kind")
        observer.count_examples(request.tasks[0].model_spec.name, len(getattr(request.input, kind).examples))

    return on_call


def _with_increases(answer: Answer, observer: Observer) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        before = {name: observer.registry.value(name) for name in request.metric_names}
        await answer(request, response, seconds)
        for name, count in before.items():
            response.metric.add(name=name, int64_value_increase=observer.registry.value(name) - count)

    return on_call


class ApiWithMetrics:
    """A REST API that counts the requests of another one and serves the metrics."""

    def __init__(self, api: Api, observer: Observer, known: Known, page: str) -> None:
        self._api, self._observer, self._known, self._page = api, observer, known, page

    async def reply(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes, seconds: float | None
    ) -> Reply:
        """Answer one request, as RestApi.reply does."""
        if path.partition("?")[0] == self._page:
            return self._shown(path)
        asked = rest_api.model_and_verb(verb, path)
        if asked is None:
            return await self._api.reply(verb, path, headers, body, seconds)
        name, api = asked
        began, code = time.perf_counter(), status.INTERNAL
        current = self._observer.request_started(name, api.capitalize())
        try:
            reply = await self._api.reply(verb, path, headers, body, seconds)
            code = reply.code
            return reply
        except GeneratorExit:
            code = status.CANCELLED
            raise
        finally:
            counts = name if self._known(name) else ""
            self._observer.request_ended(current, counts, api, REST, code, time.perf_counter() - began)

    def _shown(self, path: str) -> Reply:
        if path != self._page:
            said = f"Unexpected path: {path}. Should be {self._page}"
            return Reply(400, said.encode(), "text/plain")
        return Reply(200, self._observer.registry.text().encode(), "text/plain")


def with_facts_log(listed: Mapping[str, Method], log: FactsLog, known: Known) -> dict[str, Method]:
    """Return the same methods, with those that upstream counts written to the facts log."""
    found = {}
    for path, method in listed.items():
        api = path.rpartition("/")[2]
        answer = _with_facts(api, method.answer, log, known) if api in COUNTED else method.answer
        found[path] = replace(method, answer=answer)
    return found


def _with_facts(api: str, answer: Answer, log: FactsLog, known: Known) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        name, began = request.model_spec.name, time.perf_counter()
        try:
            await answer(request, response, seconds)
        except Status as error:
            if known(name):
                log.put(Entry(name, "", None, error.code, time.perf_counter() - began))
            raise
        about = response.model_spec
        size, arrays = request.ByteSize() + response.ByteSize(), partial(facts.arrays, api, request, response)
        took = time.perf_counter() - began
        signature = request.model_spec.signature_name or saved_model.DEFAULT
        log.put(Entry(name, signature, about.version.value, status.OK, took, size, arrays))

    return on_call


def with_request_log(listed: Mapping[str, Method], log: RequestLog) -> dict[str, Method]:
    """Return the same methods, with those that can be logged written to the request log."""
    found = {}
    for path, method in listed.items():
        api = path.rpartition("/")[2]
        answer = _logged(api, method.answer, log) if api in FIELDS else method.answer
        found[path] = replace(method, answer=answer)
    return found


def _logged(api: str, answer: Answer, log: RequestLog) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        await answer(request, response, seconds)
        log.record(api, request, response)

    return on_call
