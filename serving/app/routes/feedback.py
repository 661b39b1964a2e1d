"""POST /api/feedback: "wrong? tell us"."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from digits.runtime.errors import DataError, StoreError
from serving.app import openapi, state
from serving.app.errors import Refused, answer
from serving.app.feedback.corrections import correction
from serving.app.feedback.store import StoreBusy, StoreFull

ROUTE = "/api/feedback"

router = APIRouter()


@router.post(
    ROUTE, status_code=201, openapi_extra=openapi.FEEDBACK, responses=openapi.ERRORS, response_class=Response
)
async def correct(request: Request) -> Response:
    """Say which digit an image really shows. The answer comes when that is safe on disk.

    A person looks at it (`digits feedback review`) before any training does.
    """
    here = state.of(request)
    if here.feedback is None:
        raise Refused("not_found", "this gateway takes no corrections: it was started with --feedback none")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused("wrong_type", f"the body is '{kind[:80]}': expected application/json")
    try:
        given = correction(orjson.loads(await request.body()))
        number, new = await here.feedback.add(given)
    except orjson.JSONDecodeError as error:
        raise Refused("bad_request", f"the body is no JSON ({error})") from None
    except DataError as error:
        raise Refused("bad_request", str(error)) from None
    except StoreBusy as error:
        raise Refused("busy", str(error), again=2) from None
    except StoreFull as error:
        raise Refused("full", str(error)) from None
    except StoreError as error:
        raise Refused("failed", str(error)) from None
    here.metrics.corrections.labels("new" if new else "known").inc()
    return answer({"id": number, "state": "pending" if new else "known"}, 201 if new else 200)
