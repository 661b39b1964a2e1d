"""POST /api/read: a photo → the fields of digits in it."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from digits_client import errors
from digits_client.reading import Reading, as_tree, decoded, read
from digits_client.reading.results import FIELD_CONFIDENCE
from digits_client.results import Answer, Prediction
from serving.app import openapi, state
from serving.app.errors import Refused, answer, of_model
from serving.app.state import State

ROUTE = "/api/read"

router = APIRouter()


@router.post(ROUTE, openapi_extra=openapi.READ, responses=openapi.ERRORS, response_class=Response)
async def read_photo(
    request: Request, least: Annotated[float, Query(ge=0, le=1)] = FIELD_CONFIDENCE
) -> Response:
    """All digits in a picture: PNG, JPEG, GIF, BMP, TIFF or WebP, grouped to fields and lines.

    `least` is the confidence from which on a field is accepted. Each digit carries `image`: the 28 × 28 bytes
    that the model was asked, in base64.
    """
    began = time.perf_counter()
    here = state.of(request)
    limits = here.settings.limits
    if here.waiting >= limits.readers + limits.waiting:
        raise Refused("busy", f"{here.waiting} photos wait already: come back in a moment", again=2)
    body = await request.body()
    here.waiting += 1
    job = asyncio.get_running_loop().run_in_executor(here.readers, _read, here, body, least)
    job.add_done_callback(lambda _: _left(here))  # also when the visitor has left: the thread goes on
    try:
        made = await asyncio.shield(job)
    except errors.ServingError as error:
        raise of_model(error, "bad_picture") from None
    _note(here, made, time.perf_counter() - began)
    return answer(tree(made))


def tree(made: Reading) -> dict[str, Any]:
    """The reading, each digit with its image."""
    told = as_tree(made)
    plain = (digit for line in told["lines"] for field in line["fields"] for digit in field["digits"])
    for digit, own in zip(plain, made.digits, strict=True):
        digit["image"] = base64.b64encode(own.image).decode()
    return told


def _read(here: State, body: bytes, least: float) -> Reading:
    photo = decoded(body, max_pixels=here.settings.limits.pixels)

    def ask(images: NDArray[np.uint8]) -> Answer[Prediction]:
        return here.model.client.predict(images)

    return read(photo, ask, least)


def _left(here: State) -> None:
    here.waiting -= 1


def _note(here: State, made: Reading, seconds: float) -> None:
    read_as = tuple(Prediction(digit.digit, digit.confidence, (), digit.accepted) for digit in made.digits)
    here.record(ROUTE, [d.image for d in made.digits], Answer(read_as, made.version), seconds)
