"""What the routes share: made when the gateway starts, closed when it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request

from digits_client.reading.results import Digit
from digits_client.results import Prediction
from serving.app.feedback.store import FeedbackStore
from serving.app.metrics import Metrics
from serving.app.model_client import Model
from serving.app.model_status import About
from serving.app.request_log import Entry, RequestLog
from serving.app.settings import Settings
from serving.app.versions import Published
from serving.app.visitors import Shares


@dataclass(slots=True)
class State:
    """The state of one running gateway."""

    settings: Settings
    metrics: Metrics
    model: Model
    published: Published
    about: About
    readers: ThreadPoolExecutor
    photos: Shares  # with a reader or waiting for one
    feedback: FeedbackStore | None
    log: RequestLog | None
    draining: bool = field(default=False)

    def count(self, answer: Sequence[Prediction | Digit]) -> None:
        """Count the digits of an answer."""
        for digit in answer:
            self.metrics.digits.labels(str(digit.digit), str(bool(digit.accepted)).lower()).inc()

    def record_failure(self, route: str, status: int, seconds: float) -> None:
        """Log a request that failed because of its picture, of the model or of this gateway."""
        if self.log is not None and route in LOGGED and status in FAULTS:
            self.log.note(
                Entry(
                    at=time.time(),
                    route=route,
                    kind="",
                    status=status,
                    digest="",
                    digit=None,
                    confidence=None,
                    accepted=None,
                    version=None,
                    latency=seconds,
                    image=None,
                )
            )


LOGGED = ("/api/predict", "/api/read")
FAULTS = (400, 413, 415, 500, 502, 503, 504)  # not who may ask, how often, or who has left


def of(request: Request) -> State:
    """The gateway that a request came to."""
    return cast(State, cast(Any, request.app).state.gateway)
