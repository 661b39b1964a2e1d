"""The gateway as an ASGI app, put together from its parts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.app import errors, log_lines, schemas
from serving.app.errors import Failure, Refusal
from serving.app.feedback.store import FeedbackStore
from serving.app.log_lines import Tell
from serving.app.metrics import Metrics
from serving.app.middleware import LEFT, Guard, Observer, SecurityHeaders
from serving.app.model_client import Model
from serving.app.model_status import About
from serving.app.request_log import RequestLog
from serving.app.routes import about, feedback, pages, predict, read, review
from serving.app.settings import Settings
from serving.app.state import State
from serving.app.versions import Published
from serving.app.visitors import Proxies, Shares

TITLE = "digits"
OF_FRAMEWORK = {
    404: ("not_found", "there is nothing at this address: see /docs"),
    405: ("not_allowed", "this address takes another method: see /docs"),
}
ABOUT = "Handwritten digits: drawn, or in photos. The page at / uses nothing but this."
KEY = HTTPBearer(scheme_name="key", auto_error=False)  # for the document: Guard checks it, before any route


@dataclass(frozen=True, slots=True)
class Gateway:
    """The app, and what its routes share."""

    app: ASGIApp
    state: State


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings, tell: Tell | None = None) -> AsyncIterator[Gateway]:
    """The gateway with its stores and connections, while the block lasts, in the event loop that serves it.

    tell: by default words on standard error. Raises StoreError when a store can't be opened.
    """
    tell = tell or partial(log_lines.as_text, sys.stderr)
    async with contextlib.AsyncExitStack() as stack:
        metrics = Metrics(settings.monitoring)
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
            metrics.dropped.set_function(lambda: log.dropped)
        about = About(model, published, metrics, tell)
        waiting = settings.limits.readers + settings.limits.waiting
        photos = Shares(waiting, max(waiting // 2, 1))
        state = State(settings, metrics, model, published, about, readers, photos, feedback, log)
        yield Gateway(_app(state, tell), state)


def _app(state: State, tell: Tell) -> ASGIApp:
    app = FastAPI(
        title=TITLE,
        description=ABOUT,
        version="1",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere; /docs is ours
        redoc_url=None,
        redirect_slashes=False,  # an address that a visitor made up is not there, with a slash or without
    )
    app.state.gateway = state
    common = schemas.errors(401, 403, 408, 413, 415, 429, 500, 503, 504)
    # Without a default FastAPI adds a 422 in a form of its own, which is a 400 here.
    common["default"] = {"model": schemas.Error, "description": "any other error"}
    key = [Security(KEY)] if state.settings.key else []
    for part in (predict, read, feedback, review, about):
        app.include_router(part.router, responses=common, dependencies=key)
    app.include_router(about.probes)
    app.include_router(pages.router)
    app.mount("/static", pages.static())
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _failed)
    proxies = Proxies(state.settings.proxies)
    guarded = Guard(app, state.settings)
    return SecurityHeaders(Observer(guarded, state.metrics, tell, proxies, state.record_failure))


def _request_log(settings: Settings) -> RequestLog | None:
    if settings.log is None:
        return None
    return RequestLog(
        settings.log,
        sample=settings.log_share,
        max_bytes=settings.log_bytes,
        images=settings.log_images,
        days=settings.log_days,
        group=settings.log_group,
    )


async def _refused(request: Request, error: Any) -> Response:
    return errors.response(error, request.scope)


async def _failed(request: Request, error: Exception) -> Response:
    return errors.response(Failure("failed", f"{type(error).__name__}: {error}"), request.scope)


async def _left(_: Request, __: Any) -> Response:
    return Response(status_code=LEFT)  # nobody is there to have it: for the log and the metrics


async def _framework(request: Request, error: Any) -> Response:
    code, message = OF_FRAMEWORK.get(error.status_code, ("bad_request", str(error.detail)))
    return errors.response(Refusal(code, message), request.scope)


async def _invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return errors.response(Refusal("bad_request", f"'{where}': {first['msg']}"), request.scope)
