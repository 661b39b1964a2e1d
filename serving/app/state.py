"""What the routes share: made when the gateway starts, closed when it ends."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request

from digits_client.results import Answer, Prediction
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

    def record(self, route: str, images: Sequence[bytes], answer: Answer[Prediction], seconds: float) -> None:
        """Count the digits of an answer, and log each with its image: its pixels, or the picture's file."""
        for prediction in answer:
            accepted = str(bool(prediction.accepted)).lower()
            self.metrics.digits.labels(str(prediction.digit), accepted).inc()
        if self.log is None:
            return
        at = time.time()
        self.log.note(
            *(
                Entry(
                    at=at,
                    route=route,
                    status=200,
                    digest=hashlib.sha256(image).hexdigest(),
                    digit=prediction.digit,
                    confidence=prediction.confidence,
                    accepted=prediction.accepted,
                    version=answer.version,
                    latency=seconds,
                    image=image,
                )
                for image, prediction in zip(images, answer, strict=True)
            )
        )


def of(request: Request) -> State:
    """The gateway that a request came to."""
    return cast(State, cast(Any, request.app).state.gateway)
