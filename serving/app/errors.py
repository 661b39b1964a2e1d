"""What a request is answered when it gets no answer: one line for a person, a code for a program."""

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
OF_STATUS = {
    404: "not_found",
    405: "not_allowed",
    413: "too_large",
    415: "wrong_type",
}  # as frameworks say it


class Refused(Exception):
    """Ends a request. code: one of STATUS. again: seconds after which to try again."""

    def __init__(self, code: str, message: str, again: float | None = None) -> None:
        super().__init__(message)
        self.code, self.again = code, again

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]


def response(refused: Refused) -> Response:
    """The answer that says so."""
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
    """JSON that no cache keeps."""
    own = {"Cache-Control": "no-store", **(headers or {})}
    return Response(orjson.dumps(tree), status, own, "application/json")


def of_model(error: errors.ServingError, what: str = "bad_request") -> Refused:
    """What the model server's refusal is to a visitor. what: the code where the input is at fault."""
    if isinstance(error, errors.BadRequest):
        return Refused(what, str(error))
    if isinstance(error, errors.DeadlineExceeded):
        return Refused("late", f"the model server is too slow: {error}")
    if isinstance(error, errors.Unavailable | errors.ModelNotFound):
        return Refused("no_model", f"no model answers: {error}", again=2)
    return Refused("bad_gateway", f"the model server failed: {error}")
