"""GET and POST /api/review: corrections that wait for a reviewer, one at a time, and the decisions on them.

Who decides here decides what is learnt, so these routes are there for a gateway with a key alone.
"""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Query
from PIL import Image
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving.app import schemas, state
from serving.app.errors import Refusal, answer
from serving.app.feedback import PENDING, review
from serving.app.feedback.corrections import levels
from serving.app.feedback.schema import Row
from serving.app.feedback.store import FeedbackStore
from serving.app.routes.feedback import json_body, store

ROUTE = "/api/review"
LARGEST = 1 << 12  # bytes of a decision

router = APIRouter()


@router.get(ROUTE, response_model=schemas.Review, responses=schemas.errors(400, 404))
async def waiting(request: Request, after: Annotated[str | None, Query(max_length=36)] = None) -> Response:
    """The oldest correction that waits for a reviewer, or the next one after another.

    Only a gateway with a key has this.
    """
    async with _store(request) as corrections:
        found = await review.following(corrections, after)
        count = (await review.counts(corrections))[PENDING]
    return answer({"waiting": count, "next": None if found is None else _plain(found)})


@router.post(
    ROUTE,
    response_model=schemas.Decided,
    responses=schemas.errors(400, 404, 409, 415, 507),
    openapi_extra=schemas.body({"application/json": (schemas.Decision,)}),
)
async def decide(request: Request) -> Response:
    """Accept a correction, with a label of the reviewer's where it needs one, or reject it: for good.

    Only a gateway with a key has this.
    """
    body = await json_body(request, "a decision", LARGEST)
    try:
        given = schemas.Decision.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Refusal("bad_request", f"{where}: {first['msg']}") from None
    async with _store(request) as corrections:
        await review.decide(corrections, given.id, given.state, reviewer=given.reviewer, label=given.label)
    return answer({"id": given.id, "state": given.state})


@asynccontextmanager
async def _store(request: Request) -> AsyncIterator[FeedbackStore]:
    """The store of corrections, for a gateway with a key. Raises Refusal where there is none."""
    if state.of(request).settings.key is None:
        raise Refusal("forbidden", "reviews want a gateway with an API key: start it with --key-file")
    async with store(request) as corrections:
        yield corrections


def _plain(row: Row) -> dict[str, object]:
    stream = io.BytesIO()
    Image.fromarray(levels(row.kind, row.image)).save(stream, "PNG")
    names = ("id", "kind", "said", "confidence", "version", "source")
    return {name: getattr(row, name) for name in names} | {
        "image": base64.b64encode(stream.getvalue()).decode(),
        "label": None if review.is_unlabelled(row) else row.label,
        "received": row.received.isoformat(),
    }
