"""The answers that are errors: a code for a program, one line for a person.

An error of the visitor's is explained to the visitor. Of an error on the operator's side the visitor gets the
kind and the request's number; the details, which name files, addresses and programs, go to the log.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response
from starlette.types import Scope

from digits_client import errors

STATUS = {
    "bad_request": 400,
    "bad_picture": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "not_allowed": 405,
    "too_slow": 408,
    "decided": 409,
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
KINDS = {
    "failed": "the gateway failed on this request",
    "bad_gateway": "the model server failed on this request",
    "no_model": "no model answers at the moment",
    "busy": "corrections can't be kept at the moment: try again",
    "late": "the model server is too slow at the moment",
    "full": "no more corrections can be kept for now",
}
NUMBER, DETAILS = "digits.request", "digits.details"  # in a request's scope, for its line in the log
LONGEST = 500  # characters of details: some quote what a visitor sent


class Refusal(Exception):
    """Ends a request with an error. code: one of STATUS. again: seconds after which to try again."""

    def __init__(self, code: str, message: str, again: float | None = None) -> None:
        super().__init__(message)
        self.code, self.again = code, again

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]


class Failure(Refusal):
    """Ends a request with an error of the operator's side. code: one of KINDS. details: for the log alone."""

    def __init__(self, code: str, details: object, again: float | None = None) -> None:
        super().__init__(code, KINDS[code], again)
        self.details = errors.one_line(str(details))[:LONGEST]


def response(refused: Refusal, scope: Scope) -> Response:
    """The answer that tells of a refusal."""
    headers: dict[str, str] = {}
    if refused.again is not None:
        headers["Retry-After"] = str(max(1, round(refused.again)))
    if refused.code == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    if refused.code in ("too_large", "too_slow"):
        headers["Connection"] = "close"  # what is left of the body is not waited for
    message = errors.one_line(str(refused))
    if isinstance(refused, Failure):
        scope[DETAILS] = refused.details
        message += f" (request {scope.get(NUMBER, 'without a number')})"
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
        return Failure("late", error)
    if isinstance(error, errors.Unavailable | errors.ModelNotFound):
        return Failure("no_model", error, again=2)
    return Failure("bad_gateway", error)
