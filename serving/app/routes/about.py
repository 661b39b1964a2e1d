"""What the gateway says of itself and of the versions: about, provenance, health, metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from serving.app import metrics, schemas, state
from serving.app.errors import Refusal, answer

router = APIRouter()
probes = APIRouter(responses=schemas.errors(403, 500), default_response_class=Response)
TEXT: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/api/about", response_model=schemas.About)
async def about(request: Request) -> Response:
    """The version in service and its figures, where its browser formats are, what may be sent."""
    here = state.of(request)
    limits = here.settings.limits
    tree = await here.about.describe()
    tree |= {
        "feedback": here.feedback is not None,
        "key": here.settings.key is not None,
        "limits": {"bytes": limits.body, "pixels": limits.pixels, "images": limits.images},
    }
    return answer(tree)


@router.get("/api/versions/{number}", response_model=dict[str, Any], responses=schemas.errors(400, 404))
async def provenance(request: Request, number: schemas.Version) -> Response:
    """Everything that is known of a published version: data, recipe, metrics, verdict, commit."""
    record = await asyncio.to_thread(state.of(request).published.provenance, number)
    if record is None:
        raise Refusal("not_found", f"version {number} is not in the gateway's store: `digits versions`")
    return answer(record)


@router.get(
    "/api/versions/{number}/card",
    response_class=Response,
    responses=schemas.errors(400, 404) | {200: TEXT},
)
async def card(request: Request, number: schemas.Version) -> Response:
    """The model card of a published version, in Markdown: data, accuracy, limits."""
    path = await asyncio.to_thread(state.of(request).published.card, number)
    if path is None:
        raise Refusal("not_found", f"version {number} has no model card in the gateway's store")
    return FileResponse(path, media_type="text/plain", headers={"Cache-Control": "no-cache"})


@probes.get("/healthz", responses={200: TEXT})
async def health() -> Response:
    """200 while the process answers."""
    return PlainTextResponse("alive\n")


@probes.get("/readyz", responses={200: TEXT, 503: {"description": "not ready, and why"} | TEXT})
async def readiness(request: Request) -> Response:
    """200 while a version of the model answers and the gateway is not about to end."""
    here = state.of(request)
    if here.draining:
        return PlainTextResponse("draining\n", 503)
    service = await here.about.service()
    if service.version is None:
        return PlainTextResponse(f"no model: {service.message}\n", 503)
    return PlainTextResponse(f"version {service.version}\n")


@probes.get("/metrics", include_in_schema=False)
async def prometheus(request: Request) -> Response:
    """The counts and durations, for Prometheus."""
    return Response(state.of(request).metrics.text(), media_type=metrics.TYPE)
