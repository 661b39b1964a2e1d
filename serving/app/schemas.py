"""The models of what the API takes and answers, of which FastAPI writes /openapi.json.

They are documentation: a route checks a request itself, with messages for a person, and writes its answer as
bytes, so that no answer is validated or serialized a second time. The tests hold every answer against them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from digits_client.contract import HEIGHT, LONGEST
from serving.app.errors import STATUS
from serving.app.feedback.corrections import SAID, TEXT

Label = Annotated[int, Field(ge=0, le=9)]
Version = Annotated[int, Field(ge=1, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Row = Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=28, max_length=28)]
Image = Annotated[list[Row], Field(min_length=28, max_length=28)]
ImageBytes = Annotated[
    str, Field(description="784 bytes, white ink on black", json_schema_extra={"contentEncoding": "base64"})
]
LinePng = Annotated[
    str,
    Field(
        description=f"a PNG file of 8-bit grey, {HEIGHT} pixels high",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    ),
]
LineText = Annotated[str, Field(max_length=LONGEST, pattern=f"^({TEXT.pattern})$")]
LineSaid = Annotated[str, Field(pattern=f"^{SAID.pattern}$")]
Box = Annotated[
    list[int], Field(min_length=4, max_length=4, description="left, top, width, height in the upright photo")
]


class Images(BaseModel):
    """Images of one digit each: 28 rows of 28 grey levels, white ink on black."""

    model_config = ConfigDict(extra="forbid")
    images: Annotated[list[Image], Field(min_length=1)]


class Corrected(BaseModel):
    """Of each correction: how sure the model was, which version, where."""

    model_config = ConfigDict(extra="forbid")
    confidence: Share | None = None
    version: Version | None = None
    source: Literal["drawing", "photo"]
    mode: Literal["server", "browser"]


class Correction(Corrected):
    """An image, which digit it shows, and what the model said of it."""

    image: ImageBytes
    label: Annotated[Label, Field(description="the right digit")]
    digit: Annotated[Label | None, Field(description="what the model said")] = None


class LineCorrection(Corrected):
    """A line of a photo as /api/read gives it, what is written there, and what the model said of it."""

    line: LinePng
    text: Annotated[LineText, Field(description="the right text; empty: no digits")]
    said: Annotated[LineSaid | None, Field(description="what the model said")] = None


class Prediction(BaseModel):
    """What one image shows."""

    digit: Label
    confidence: Annotated[Share, Field(description="calibrated probability of the digit")]
    accepted: Annotated[bool | None, Field(description="whether that is enough; null: unknown")]
    probabilities: Annotated[list[Share], Field(min_length=10, max_length=10)]


class Predictions(BaseModel):
    """One prediction an image, in their order, and the version of the model that made them."""

    version: int | None
    predictions: list[Prediction]


class ReadingDigit(BaseModel):
    """One digit of a photo."""

    box: Box
    digit: Label
    confidence: Share
    accepted: bool
    alternatives: Annotated[list[tuple[Label, Share]], Field(description="other digits, the likeliest first")]


class ReadingSeparator(BaseModel):
    """A mark between digits."""

    box: Box
    text: Annotated[str, Field(description="a point; with a format the sign that it has there")]


ImageNumber = Annotated[
    int | None,
    Field(ge=0, description="its line in `images`; null: there are too many; absent: not asked for"),
]


class ReadingImage(BaseModel):
    """A line of a photo as the model was asked about it."""

    png: LinePng
    text: Annotated[str, Field(description="digits; a point for every separator")]
    confidence: Annotated[Share, Field(description="that all of it is right")]


class ReadingField(BaseModel):
    """Digits that belong together, from left to right."""

    kind: Literal["digit", "number", "postcode", "amount", "score"]
    text: str
    confidence: Annotated[Share, Field(description="that all of it is right")]
    accepted: bool
    box: Box
    digits: list[ReadingDigit]
    separators: list[ReadingSeparator]
    image: ImageNumber = None


class ReadingLine(BaseModel):
    """Fields beside each other, from left to right."""

    box: Box
    text: str
    fields: list[ReadingField]


class ReadingUnread(BaseModel):
    """What looked like a line of writing and was not read."""

    box: Box
    reason: str
    image: ImageNumber = None


class Reading(BaseModel):
    """All that was found in a photo of this width and height, from top to bottom."""

    width: int
    height: int
    text: str
    lines: list[ReadingLine]
    unread: list[ReadingUnread]
    version: Annotated[int | None, Field(description="of the model; null: nothing had to be asked")]
    images: Annotated[list[ReadingImage], Field(description="absent: not asked for")] = []


class Receipt(BaseModel):
    """A correction in the store."""

    id: str
    state: Literal["pending", "known"]


class ReviewItem(BaseModel):
    """A correction that waits for a reviewer."""

    id: str
    kind: Literal["digit", "line"]
    image: Annotated[str, Field(description="a PNG file of what the model saw, in base64")]
    label: Annotated[str | None, Field(description="what the person said; null: nobody has said anything")]
    said: Annotated[str | None, Field(description="what the model said")]
    confidence: Share | None
    version: int | None
    source: Literal["drawing", "photo", "monitor"]
    received: datetime


class Review(BaseModel):
    """What waits for a reviewer."""

    waiting: int
    next: Annotated[ReviewItem | None, Field(description="null: there is none, or none after that one")]


class Decision(BaseModel):
    """What a reviewer says of a correction."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(pattern="^[0-9a-f-]{36}$")]
    state: Literal["accepted", "rejected"]
    label: Annotated[
        str | None, Field(max_length=24, description="to accept with, in place of the person's")
    ] = None
    reviewer: Annotated[str, Field(max_length=100, description="who decides")] = "page"


class Decided(BaseModel):
    """A decision that is on disk."""

    id: str
    state: Literal["accepted", "rejected"]


class ModelStatus(BaseModel):
    """The model in service."""

    ready: bool
    version: int | None
    message: Annotated[str, Field(description="why none is ready, else empty")]


class Facts(BaseModel):
    """A version in figures; null is what was not recorded."""

    accuracy: Share | None
    accuracy_interval: tuple[Share, Share] | None
    n_test: int | None
    ece: Annotated[float | None, Field(description="expected calibration error")]
    parameters: int | None
    profile: str | None
    passed: bool | None
    commit: str | None
    dirty: bool | None
    published: datetime | None
    dataset: str | None
    sample: bool | None
    threshold: Share | None


class RequestLimits(BaseModel):
    """What one request may hold."""

    bytes: int
    pixels: int
    images: int


class About(BaseModel):
    """The version in service, and what this gateway offers."""

    model: ModelStatus
    edge: Annotated[str | None, Field(description="where the formats for browsers are")]
    card: Annotated[str | None, Field(description="where its model card is")]
    facts: Facts | None
    feedback: Annotated[bool, Field(description="whether corrections are taken")]
    key: Annotated[bool, Field(description="whether an API key is needed")]
    limits: RequestLimits


class Problem(BaseModel):
    """Why there is no answer."""

    code: Annotated[str, Field(json_schema_extra={"enum": list(STATUS)})]
    message: Annotated[str, Field(description="one line for a person")]


class Error(BaseModel):
    """Every answer that is an error. 429 and 503 come with Retry-After."""

    error: Problem


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers errors of these statuses, each described by its codes."""
    codes = {status: [code for code, its in STATUS.items() if its == status] for status in statuses}
    return {status: {"model": Error, "description": " or ".join(codes[status])} for status in statuses}


def body(content: dict[str, tuple[type[BaseModel], ...] | str]) -> dict[str, Any]:
    """Return `openapi_extra` of a route that reads its body itself: models by media type, or words."""

    def schema(form: tuple[type[BaseModel], ...] | str) -> dict[str, Any]:
        if isinstance(form, str):
            return {"description": form}
        models = [model.model_json_schema() for model in form]
        return models[0] if len(models) == 1 else {"anyOf": models}

    schemas = {kind: {"schema": schema(form)} for kind, form in content.items()}
    return {"requestBody": {"required": True, "content": schemas}}
