"""The calls of gRPC, with those that are sampled put into the request log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from serving.model_server.grpc.service import Answer, Method
from serving.model_server.request_log.log import RequestLog
from serving.model_server.request_log.records import FIELDS


def methods(listed: Mapping[str, Method], log: RequestLog) -> dict[str, Method]:
    """The same calls, logged."""
    found = {}
    for path, method in listed.items():
        api = path.rpartition("/")[2]
        answer = _logged(api, method.answer, log) if api in FIELDS else method.answer
        found[path] = replace(method, answer=answer)
    return found


def _logged(api: str, answer: Answer, log: RequestLog) -> Answer:
    async def on_call(request: Any, response: Any, seconds: float | None) -> None:
        await answer(request, response, seconds)
        log.answered(api, request, response)

    return on_call
