"""A reply that is no answer → the error that it means, and whether asking again may heal it."""

from __future__ import annotations

import re

from digits_client import errors
from digits_client.exchange import CLOSED, DEADLINE, UNAVAILABLE, Reply

TOO_LARGE = "larger than max"  # gRPC says RESOURCE_EXHAUSTED of a message above the limit as well
SIGNATURE = re.compile(r"serving signature .*not found", re.IGNORECASE)


def heals(reply: Reply) -> bool:
    """Whether the same request may succeed later: nothing was at fault with the request itself.

    Asking twice is safe whatever became of the first time: a prediction changes nothing on the server.
    """
    overloaded = reply.code == "RESOURCE_EXHAUSTED" and TOO_LARGE not in reply.text
    return reply.code in (UNAVAILABLE, "CANCELLED") or overloaded


def error(reply: Reply, where: str, model: str, timeout: float) -> errors.ServingError:
    """The error to raise. `where` says which server over which transport."""
    text = errors.one_line(reply.text) or reply.code
    if reply.code == CLOSED:
        return errors.ServingError(f"{text}: make a new client")
    if reply.code == DEADLINE:
        return late(where, timeout)
    if heals(reply):
        return errors.Unavailable(
            f"{where} gives no answer ({text}): expected a server that is up and has room; "
            "see whether it runs, and whether host and port are right (by default 8500 is gRPC, 8501 is REST)"
        )
    if reply.code == "NOT_FOUND":
        return errors.ModelNotFound(
            f"{where} has no such model ({text}): expected it to serve '{model}'; "
            "ask status(), or look at the server's model configuration"
        )
    if SIGNATURE.search(text):
        return errors.ServingError(
            f"{where} serves another kind of model as '{model}' ({text}): expected one that `digits` exported"
        )
    if reply.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"):
        return errors.BadRequest(text)
    return errors.ServingError(f"{where} failed with {reply.code} ({text}): expected an answer; see its log")


def late(where: str, timeout: float) -> errors.DeadlineExceeded:
    """The error of a call whose time is up."""
    return errors.DeadlineExceeded(
        f"{where} gave no answer within {timeout:g} s: send fewer images a call, raise the timeout, "
        "or see whether the server is overloaded"
    )


def foreign(where: str, problem: object) -> errors.ServingError:
    """The error of an answer that is not as agreed."""
    return errors.ServingError(
        f"{where} answered {errors.one_line(str(problem))}: expected what the wire contract says; "
        "see whether this is a server of this model, and of this transport"
    )
