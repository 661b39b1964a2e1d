"""POST /api/read: finds the digits of a photo, and answers with their fields.

A photo is read in a thread: finding its digits takes a core for some 50 ms, and the event loop has other
requests to serve.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from digits_client import errors
from digits_client.reading import Reading, as_tree, decoded, read
from digits_client.results import Answer, LinePrediction
from serving.app import schemas, state
from serving.app.errors import Refusal, answer, of_model
from serving.app.middleware import client
from serving.app.request_log import Entry
from serving.app.state import State
from serving.app.visitors import counted
from serving.monitoring.facts import LINE

ROUTE = "/api/read"
Least = Annotated[
    float | None,
    Query(ge=0, le=1, description="confidence from which on a field is accepted; absent: the model decides"),
]
Format = Annotated[
    str | None,
    Query(max_length=100, description="what each field is: amount, score, digits:5 or a regular expression"),
]
Images = Annotated[
    bool, Query(description="whether to give each line as the model saw it too, to be corrected")
]
PIXELS = 2_000_000  # of all lines that are given: 200 lines of 300 pixels, 30 of the widest

router = APIRouter()


@router.post(
    ROUTE,
    response_model=schemas.Reading,
    response_description="lines of fields of digits, each with its box in the upright picture",
    responses=schemas.errors(400, 502),
    openapi_extra=schemas.body({"image/*": "PNG, JPEG, GIF, BMP, TIFF or WebP"}),
)
async def read_photo(
    request: Request, least: Least = None, format: Format = None, images: Images = False
) -> Response:
    """All digits in a picture, grouped to fields and lines."""
    began = time.perf_counter()
    here = state.of(request)
    body = await request.body()
    visitor = counted(client(request.scope))
    if not here.photos.take(visitor):
        raise Refusal("busy", "too many photos wait already: come back in a moment", again=2)
    job = here.readers.submit(_read, here, body, least, format, PIXELS if images else 0)
    done = asyncio.wrap_future(job)
    # Also when the visitor has left: a reader goes on.
    done.add_done_callback(lambda _: here.photos.give_back(visitor))
    leaving = asyncio.ensure_future(request.receive())  # after the body: the connection's end
    leaving.add_done_callback(lambda _: job.cancel())  # of no effect once a reader has it
    try:
        reading, tree = await asyncio.shield(done)
    except asyncio.CancelledError:
        if done.cancelled():
            raise ClientDisconnect from None
        raise
    except errors.ServingError as error:
        raise of_model(error, "bad_picture") from None
    finally:
        leaving.cancel()
    here.count(reading.digits)
    if here.log is not None:
        here.log.note(*_entries(body, reading, time.perf_counter() - began))
    return answer(tree)


def _read(
    here: State, body: bytes, least: float | None, form: str | None, pixels: int
) -> tuple[Reading, dict[str, Any]]:
    limits = here.settings.limits
    photo = decoded(body, max_pixels=limits.pixels, max_memory=limits.memory, grey=True)

    def ask(lines: Sequence[NDArray[np.uint8]]) -> Answer[LinePrediction]:
        answered: Answer[LinePrediction] = here.model.client.predict_lines(lines)
        return answered

    reading = read(photo, ask, least, limits.seconds, form)
    return reading, as_tree(reading, pixels)


def _entries(body: bytes, reading: Reading, seconds: float) -> list[Entry]:
    """What is logged of each line: it is accepted if all of its fields are. The digest is the photo's."""
    digest, at = hashlib.sha256(body).hexdigest(), time.time()
    accepted = {id(image): bool(image.text) for image in reading.images}
    for field in reading.fields:
        accepted[id(field.image)] &= field.accepted
    return [
        Entry(
            at=at,
            route=ROUTE,
            kind=LINE,
            status=200,
            digest=digest,
            digit=None,
            confidence=image.confidence,
            accepted=accepted[id(image)],
            version=reading.version,
            latency=seconds,
            image=image.pixels.tobytes(),
        )
        for image in reading.images
    ]
