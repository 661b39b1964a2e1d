"""TensorFlow's error codes: gRPC carries the code itself, REST the HTTP status that stands for it."""

from __future__ import annotations

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16

NAMES = {
    OK: "OK",
    CANCELLED: "CANCELLED",
    UNKNOWN: "UNKNOWN",
    INVALID_ARGUMENT: "INVALID_ARGUMENT",
    DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    NOT_FOUND: "NOT_FOUND",
    ALREADY_EXISTS: "ALREADY_EXISTS",
    PERMISSION_DENIED: "PERMISSION_DENIED",
    RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    FAILED_PRECONDITION: "FAILED_PRECONDITION",
    ABORTED: "ABORTED",
    OUT_OF_RANGE: "OUT_OF_RANGE",
    UNIMPLEMENTED: "UNIMPLEMENTED",
    INTERNAL: "INTERNAL",
    UNAVAILABLE: "UNAVAILABLE",
    DATA_LOSS: "DATA_LOSS",
    UNAUTHENTICATED: "UNAUTHENTICATED",
}
HTTP = {
    OK: 200,
    CANCELLED: 499,
    UNKNOWN: 500,
    INVALID_ARGUMENT: 400,
    DEADLINE_EXCEEDED: 504,
    NOT_FOUND: 404,
    ALREADY_EXISTS: 409,
    PERMISSION_DENIED: 403,
    RESOURCE_EXHAUSTED: 429,
    FAILED_PRECONDITION: 400,
    ABORTED: 409,
    OUT_OF_RANGE: 400,
    UNIMPLEMENTED: 501,
    INTERNAL: 500,
    UNAVAILABLE: 503,
    DATA_LOSS: 500,
    UNAUTHENTICATED: 401,
}
LONGEST = 1024  # bytes of a message on the wire; proxies drop longer headers
CUT = "...TRUNCATED"


class Status(Exception):
    """A request, or the loading of a version, that failed: TensorFlow's code and one message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{NAMES.get(self.code, self.code)}: {self.message}"


def shorten(message: str) -> str:
    """Return the message, cut to at most LONGEST bytes of UTF-8."""
    data = message.encode("utf-8", "replace")
    if len(data) <= LONGEST:
        return message
    return data[: LONGEST - len(CUT)].decode("utf-8", "ignore") + CUT


def invalid(message: str) -> Status:
    """Return an INVALID_ARGUMENT error."""
    return Status(INVALID_ARGUMENT, message)


def not_found(message: str) -> Status:
    """Return a NOT_FOUND error."""
    return Status(NOT_FOUND, message)


def precondition(message: str) -> Status:
    """Return a FAILED_PRECONDITION error."""
    return Status(FAILED_PRECONDITION, message)
