"""What the routes share: made when the gateway starts, closed when it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request

from serving.app.about import About
from serving.app.feedback.store import FeedbackStore
from serving.app.metrics import Metrics
from serving.app.model import Model
from serving.app.published import Published
from serving.app.request_log import RequestLog
from serving.app.settings import Settings


@dataclass(slots=True)
class State:
    """Of one running gateway."""

    settings: Settings
    metrics: Metrics
    model: Model
    published: Published
    about: About
    readers: ThreadPoolExecutor
    feedback: FeedbackStore | None
    log: RequestLog | None
    waiting: int = 0  # photos with a reader or waiting for one
    draining: bool = field(default=False)


def of(request: Request) -> State:
    """The gateway that a request came to."""
    return cast(State, cast(Any, request.app).state.gateway)
