"""What was read, for the metrics and the request log."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from digits_client.results import Answer, Prediction
from serving.app.request_log import Entry
from serving.app.state import State


def predictions(
    here: State, route: str, asked: Sequence[bytes], found: Answer[Prediction], seconds: float
) -> None:
    """Count and log one answer. asked: the pixels of each image, or the picture's file."""
    for prediction in found:
        here.metrics.digits.labels(str(prediction.digit), str(bool(prediction.accepted)).lower()).inc()
    if here.log is None:
        return
    at = time.time()
    here.log.note(
        *(
            Entry(
                at=at,
                route=route,
                status=200,
                digest=hashlib.sha256(image).hexdigest(),
                digit=prediction.digit,
                confidence=prediction.confidence,
                accepted=prediction.accepted,
                version=found.version,
                latency=seconds,
                image=image,
            )
            for image, prediction in zip(asked, found, strict=True)
        )
    )
