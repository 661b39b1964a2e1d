"""POST /api/read: finds the digits of a photo, and answers with their fields.

A photo is read in a thread: finding its digits takes a core for some 50 ms, and the event loop has other
requests to serve.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from digits_client import errors
from digits_client.reading import Reading, as_tree, decoded, read
from digits_client.reading.results import FIELD_CONFIDENCE
from digits_client.results import Answer, Prediction
from serving.app import schemas, state
from serving.app.errors import Refusal, answer, of_model
from serving.app.middleware import client
from serving.app.state import State
from serving.app.visitors import counted

ROUTE = "/api/read"
Least = Annotated[float, Query(ge=0, le=1, description="confidence from which on a field is accepted")]

router = APIRouter()


@router.post(
    ROUTE,
    response_model=schemas.Reading,
    response_description="lines of fields of digits, each with its box in the upright picture",
    responses=schemas.errors(400, 502),
    openapi_extra=schemas.body({"image/*": "PNG, JPEG, GIF, BMP, TIFF or WebP"}),
)
async def read_photo(request: Request, least: Least = FIELD_CONFIDENCE) -> Response:
    """All digits in a picture, grouped to fields and lines, each with the pixels that the model saw."""
    began = time.perf_counter()
    here = state.of(request)
    body = await request.body()
    visitor = counted(client(request.scope))
    if not here.photos.take(visitor):
        raise Refusal("busy", "too many photos wait already: come back in a moment", again=2)
    job = here.readers.submit(_read, here, body, least)
    done = asyncio.wrap_future(job)
    # Also when the visitor has left: a reader goes on.
    done.add_done_callback(lambda _: here.photos.give_back(visitor))
    leaving = asyncio.ensure_future(request.receive())  # after the body: the connection's end
    leaving.add_done_callback(lambda _: job.cancel())  # of no effect once a reader has it
    try:
        reading = await asyncio.shield(done)
    except asyncio.CancelledError:
        if done.cancelled():
            raise ClientDisconnect from None
        raise
    except errors.ServingError as error:
        raise of_model(error, "bad_picture") from None
    finally:
        leaving.cancel()
    _record(here, reading, time.perf_counter() - began)
    return answer(tree(reading))


def tree(reading: Reading) -> dict[str, Any]:
    """The reading for JSON, each digit with its image."""
    made = as_tree(reading)
    digits = (digit for line in made["lines"] for field in line["fields"] for digit in field["digits"])
    for digit, own in zip(digits, reading.digits, strict=True):
        digit["image"] = base64.b64encode(own.image).decode()
    return made


def _read(here: State, body: bytes, least: float) -> Reading:
    limits = here.settings.limits
    photo = decoded(body, max_pixels=limits.pixels, max_memory=limits.memory, grey=True)

    def ask(images: NDArray[np.uint8]) -> Answer[Prediction]:
        return here.model.client.predict(images)

    return read(photo, ask, least, limits.seconds)


def _record(here: State, reading: Reading, seconds: float) -> None:
    digits = reading.digits
    answers = tuple(Prediction(digit.digit, digit.confidence, (), digit.accepted) for digit in digits)
    here.record(ROUTE, [digit.image for digit in digits], Answer(answers, reading.version), seconds)
