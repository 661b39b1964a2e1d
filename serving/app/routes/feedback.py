"""POST /api/feedback: a correction of what the model said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from digits.runtime.errors import DataError, StoreError
from serving.app import schemas, state
from serving.app.errors import Failure, Refusal, answer
from serving.app.feedback.corrections import correction
from serving.app.feedback.review import DecidedAlready, LabelTaken
from serving.app.feedback.store import FeedbackStore, StoreBusy, StoreFull

ROUTE = "/api/feedback"
LARGEST = 1 << 17  # bytes of a correction: the widest line and a few words take two thirds

router = APIRouter()


@router.post(
    ROUTE,
    status_code=201,
    response_model=schemas.Receipt,
    response_description="taken, and safe on disk: a person will look at it",
    responses={
        200: {
            "model": schemas.Receipt,
            "description": "the same picture with this label or text is known already",
        },
        **schemas.errors(400, 404, 415, 507),
    },
    openapi_extra=schemas.body({"application/json": (schemas.Correction, schemas.LineCorrection)}),
)
async def correct(request: Request) -> Response:
    """Say which digit an image really shows, or what a line of a photo says.

    The answer comes when that is safe on disk. A person looks at it (`digits feedback review`) before any
    training does.
    """
    async with store(request) as corrections:
        body = await json_body(request, "a correction", LARGEST)
        try:
            number, new = await corrections.add(correction(orjson.loads(body)))
        except orjson.JSONDecodeError as error:
            raise Refusal("bad_request", f"the body is no JSON ({error})") from None
    state.of(request).metrics.corrections.labels("new" if new else "known").inc()
    return answer({"id": number, "state": "pending" if new else "known"}, 201 if new else 200)


async def json_body(request: Request, what: str, most: int) -> bytes:
    """The body of a request. Raises Refusal when its type is not JSON, or it has more than `most` bytes."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal("wrong_type", f"the body is '{kind[:80]}': expected application/json")
    body = await request.body()
    if len(body) > most:
        raise Refusal("too_large", f"{what} has {len(body):,} bytes: expected at most {most:,}")
    return body


@asynccontextmanager
async def store(request: Request) -> AsyncIterator[FeedbackStore]:
    """The store of corrections, with its errors as answers. Raises Refusal where there is none."""
    corrections = state.of(request).feedback
    if corrections is None:
        raise Refusal("not_found", "this gateway takes no corrections: it was started with --feedback none")
    try:
        yield corrections
    except (DecidedAlready, LabelTaken) as error:
        raise Refusal("decided", str(error)) from None
    except DataError as error:
        raise Refusal("bad_request", str(error)) from None
    except StoreBusy as error:
        raise Failure("busy", error, again=2) from None
    except StoreFull as error:
        raise Failure("full", error) from None
    except StoreError as error:
        raise Failure("failed", error) from None
