"""The answers that are errors: a code for a program, one line for a person."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from digits_client import errors

STATUS = {
    "bad_request": 400,
    "bad_picture": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "not_allowed": 405,
    "too_slow": 408,
    "too_large": 413,
    "wrong_type": 415,
    "too_many": 429,
    "failed": 500,
    "bad_gateway": 502,
    "no_model": 503,
    "busy": 503,
    "late": 504,
    "full": 507,
}


class Refusal(Exception):
    """Ends a request with an error. code: one of STATUS. again: seconds after which to try again."""

    def __init__(self, code: str, message: str, again: float | None = None) -> None:
        super().__init__(message)
        self.code, self.again = code, again

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]


def response(refused: Refusal) -> Response:
    """The answer that tells of a refusal."""
    headers: dict[str, str] = {}
    if refused.again is not None:
        headers["Retry-After"] = str(max(1, round(refused.again)))
    if refused.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    if refused.code in ("too_large", "too_slow"):
        headers["Connection"] = "close"  # what is left of the body is not waited for
    message = errors.one_line(str(refused))
    return answer({"error": {"code": refused.code, "message": message}}, refused.status, headers)


def answer(tree: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON that no cache keeps."""
    own = {"Cache-Control": "no-store", **(headers or {})}
    return Response(orjson.dumps(tree), status, own, "application/json")


def of_model(error: errors.ServingError, what: str = "bad_request") -> Refusal:
    """The refusal for an error of the model server. what: the code where the input is at fault."""
    if isinstance(error, errors.BadRequest):
        return Refusal(what, str(error))
    if isinstance(error, errors.DeadlineExceeded):
        return Refusal("late", f"the model server is too slow: {error}")
    if isinstance(error, errors.Unavailable | errors.ModelNotFound):
        return Refusal("no_model", f"no model answers: {error}", again=2)
    return Refusal("bad_gateway", f"the model server failed: {error}")
