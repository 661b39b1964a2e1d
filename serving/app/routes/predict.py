"""POST /api/predict: which digit each of some images shows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from digits_client import errors, images
from digits_client.contract import AREA, SIDE
from digits_client.results import Answer, Prediction
from serving.app import schemas, state
from serving.app.errors import Refusal, answer, of_model
from serving.app.request_log import Entry
from serving.monitoring.facts import DIGIT, PICTURE

PIXELS, JSON, PICTURES = "application/octet-stream", "application/json", ("image/png", "image/jpeg")
ROUTE = "/api/predict"
EXPECTED = 'expected {"images": […]}, each of 28 rows of 28 whole numbers 0–255'

router = APIRouter()


@router.post(
    ROUTE,
    response_model=schemas.Predictions,
    responses=schemas.errors(400, 415, 502),
    response_description="one prediction an image",
    openapi_extra=schemas.body(
        {
            PIXELS: "n × 784 bytes",
            JSON: (schemas.Images,),
            **dict.fromkeys(PICTURES, "a picture of one digit"),
        }
    ),
)
async def predict(request: Request) -> Response:
    """Which digit each image shows.

    The body is n × 784 bytes, white ink on black (`application/octet-stream`), the same as nested lists
    (`application/json`, `{"images": [[[0, 255, …]]]}`), or one PNG or JPEG of one digit.
    """
    began = time.perf_counter()
    here = state.of(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    try:
        if kind in PICTURES:
            answers = await here.model.predict_picture(body)
            inputs, logged = [body], PICTURE
        else:
            data = pixels(kind, body, here.settings.limits.images)
            answers = await here.model.predict(data)
            logged = DIGIT
            inputs = [data[at : at + AREA] for at in range(0, len(data), AREA)]
    except errors.ServingError as error:
        raise of_model(error, "bad_picture" if kind in PICTURES else "bad_request") from None
    here.count(answers.predictions)
    if here.log is not None:
        here.log.note(*_entries(logged, inputs, answers, time.perf_counter() - began))
    return answer({"version": answers.version, "predictions": [plain(each) for each in answers]})


def pixels(kind: str, body: bytes, most: int) -> bytes:
    """n × 784 bytes of a request's body. Raises Refusal, BadRequest."""
    if kind == PIXELS:
        data = body
        if not data or len(data) % AREA:
            raise Refusal(
                "bad_request", f"the body has {len(data)} bytes: expected {AREA} an image, white on black"
            )
    elif kind == JSON:
        data = images.pixels(_listed(body, most))
        if not data:
            raise Refusal("bad_request", "'images' is empty: expected at least one, 28 rows of 28 numbers")
    else:
        kinds = ", ".join((PIXELS, JSON, *PICTURES))
        raise Refusal("wrong_type", f"the body is '{kind[:80]}': expected one of {kinds}")
    if len(data) > most * AREA:
        count = len(data) // AREA
        raise Refusal("too_large", f"{count} images at once: expected at most {most}; send several requests")
    return data


def _entries(
    kind: str, images: Sequence[bytes], answers: Answer[Prediction], seconds: float
) -> Iterator[Entry]:
    at = time.time()
    for image, prediction in zip(images, answers, strict=True):
        yield Entry(
            at=at,
            route=ROUTE,
            kind=kind,
            status=200,
            digest=hashlib.sha256(image).hexdigest(),
            digit=prediction.digit,
            confidence=prediction.confidence,
            accepted=prediction.accepted,
            version=answers.version,
            latency=seconds,
            image=image,
        )


def plain(prediction: Prediction) -> dict[str, Any]:
    """One prediction for JSON."""
    return {
        "digit": prediction.digit,
        "confidence": prediction.confidence,
        "accepted": prediction.accepted,
        "probabilities": prediction.probabilities,
    }


def _listed(body: bytes, most: int) -> Any:
    # counted before any object is built: with a list for every few bytes it takes 30 times the body's size
    if body.count(b"[") > 2 * most * (SIDE + 1) + 1 or body.count(b",") > 2 * most * AREA:
        raise Refusal("too_large", f"more than twice {most} images at once: {EXPECTED}")
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal("bad_request", f"the body is no JSON ({error}): {EXPECTED}") from None
    if not isinstance(tree, dict) or set(tree) != {"images"} or not isinstance(tree["images"], list):
        raise Refusal("bad_request", f"the body is other JSON: {EXPECTED}")
    return tree["images"]
