"""What the gateway tells of itself and of the versions: about, provenance, health, metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from serving.app import metrics, openapi, state
from serving.app.errors import Refused, answer

router = APIRouter()


@router.get("/api/about", responses={401: openapi.ERRORS[401]}, response_class=Response)
async def about(request: Request) -> Response:
    """The version in service and its figures, where its browser formats are, what may be sent."""
    here = state.of(request)
    limits = here.settings.limits
    told = await here.about.describe()
    told |= {
        "feedback": here.feedback is not None,
        "key": here.settings.key is not None,
        "limits": {"bytes": limits.body, "pixels": limits.pixels, "images": limits.images},
    }
    return answer(told)


@router.get("/api/versions/{number}", responses={404: openapi.ERRORS[400]}, response_class=Response)
async def provenance(request: Request, number: int) -> Response:
    """Everything that is known of a published version: data, recipe, metrics, verdict, commit."""
    found = await asyncio.to_thread(state.of(request).published.provenance, number)
    if found is None:
        raise Refused("not_found", f"version {number} is not in the gateway's store: `digits versions`")
    return answer(found)


@router.get("/healthz", response_class=PlainTextResponse)
async def healthy() -> str:
    """200 while the process answers."""
    return "alive\n"


@router.get("/readyz", response_class=PlainTextResponse)
async def ready(request: Request) -> Response:
    """200 while a version of the model answers and the gateway is not about to end."""
    here = state.of(request)
    if here.draining:
        return PlainTextResponse("draining\n", 503)
    service = await here.about.service()
    if service.version is None:
        return PlainTextResponse(f"no model: {service.message}\n", 503)
    return PlainTextResponse(f"version {service.version}\n")


@router.get("/metrics", include_in_schema=False)
async def measured(request: Request) -> Response:
    """For Prometheus."""
    return Response(state.of(request).metrics.text(), media_type=metrics.TYPE)
