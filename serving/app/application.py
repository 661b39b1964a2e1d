"""The gateway as an ASGI app, put together from its parts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.app import errors, log_lines, openapi
from serving.app.errors import OF_STATUS, Refused
from serving.app.feedback.store import FeedbackStore
from serving.app.metrics import Metrics
from serving.app.middleware import Guard, Observed, SecurityHeaders, Tell
from serving.app.model_client import Model
from serving.app.model_status import About
from serving.app.request_log import RequestLog
from serving.app.routes import about, feedback, pages, predict, read
from serving.app.settings import Settings
from serving.app.state import State
from serving.app.versions import Published

TITLE = "digits"
SAID = {
    "not_found": "there is nothing at this address: see /docs",
    "not_allowed": "this address takes another method: see /docs",
}
ABOUT = "Handwritten digits: drawn, or in photos. The page at / uses nothing but this."


@dataclass(frozen=True, slots=True)
class Gateway:
    """The app, and what its routes share."""

    app: ASGIApp
    state: State


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings, tell: Tell | None = None) -> AsyncIterator[Gateway]:
    """The gateway with its stores and connections, while the block lasts, in the event loop that serves it.

    tell: takes the fields of each log line; by default words on standard error. Raises StoreError when a
    store can't be opened.
    """
    told = tell or partial(log_lines.as_text, sys.stderr)
    async with contextlib.AsyncExitStack() as stack:
        metrics = Metrics()
        model = Model(settings.server, settings.timeout)
        stack.push_async_callback(model.close)
        published = Published(settings.store)
        readers = ThreadPoolExecutor(settings.limits.readers, thread_name_prefix="reader")
        stack.callback(readers.shutdown, wait=False, cancel_futures=True)
        feedback = None if settings.feedback is None else FeedbackStore(settings.feedback)
        if feedback is not None:
            await feedback.open()
            stack.push_async_callback(feedback.close)
        log = _request_log(settings)
        if log is not None:
            log.start()
            stack.callback(log.close)
            metrics.dropped_by(partial(_dropped, log))
        about = About(model, published, metrics)
        shared = State(settings, metrics, model, published, about, readers, feedback, log)
        yield Gateway(_app(settings, shared, told), shared)


def _app(settings: Settings, shared: State, tell: Tell) -> ASGIApp:
    app = FastAPI(
        title=TITLE,
        description=ABOUT,
        version="1",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere; /docs is ours
        redoc_url=None,
    )
    app.state.gateway = shared
    for part in (predict, read, feedback, about, pages):
        app.include_router(part.router)
    app.mount("/static", pages.static())
    openapi.describe(app)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    return SecurityHeaders(Observed(_Failsafe(Guard(app, settings), tell), shared.metrics, tell))


def _request_log(settings: Settings) -> RequestLog | None:
    if settings.log is None:
        return None
    return RequestLog(
        settings.log, sample=settings.log_share, max_bytes=settings.log_bytes, images=settings.log_images
    )


def _dropped(log: RequestLog) -> float:
    return float(log.dropped)


class _Failsafe:
    """ASGI: what nobody foresaw is one line in the log and an honest 500, never a traceback for a visitor."""

    def __init__(self, app: ASGIApp, tell: Tell) -> None:
        self._app, self._tell = app, tell

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def watched(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if scope["type"] != "http":
                raise
            told = f"{scope['path']} failed: {type(error).__name__}: {error}"
            self._tell(log_lines.event(told, "error"))
            if not begun:
                await (await _failed(None, error))(scope, receive, send)


async def _refused(_: Request, error: Any) -> Response:
    return errors.response(error)


async def _failed(_: Request | None, __: Any) -> Response:
    return errors.response(Refused("failed", "the gateway failed on this request: its log says why"))


async def _framework(_: Request, error: Any) -> Response:
    code = OF_STATUS.get(error.status_code, "bad_request")
    return errors.response(Refused(code, SAID.get(code, str(error.detail))))


async def _invalid(_: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return errors.response(Refused("bad_request", f"'{where}': {first['msg']}"))
