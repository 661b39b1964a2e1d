"""Every error that a call may end in, and which reply means which; texts say what to do about it.

ServingError          the server did not answer as the wire contract says, or this client is closed
├── Unavailable       nothing answers at the address, or it is not ready
├── DeadlineExceeded  the answer did not come within the deadline
├── BadRequest        the input was refused, by this client or by the server
└── ModelNotFound     the server has no such model or version
"""

from __future__ import annotations

import re

from digits_client.effects import CLOSED, DEADLINE, UNAVAILABLE, Reply


class ServingError(Exception):
    """Base of all: its text is one line for a person. `exit_code` is that of a command it ends."""

    exit_code = 7


class Unavailable(ServingError):
    """Nothing answers at the address, or it is not ready."""


class DeadlineExceeded(ServingError):
    """The answer did not come within the deadline."""


class BadRequest(ServingError):
    """The input was refused, by this client or by the server."""


class ModelNotFound(ServingError):
    """The server has no such model or version."""


def one_line(text: str, longest: int = 500) -> str:
    """The text on one line, without control characters, cut: servers' and files' words go to terminals."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split()
    line = " ".join(words)
    return line if len(line) <= longest else line[: longest - 1] + "…"


TOO_LARGE = "larger than max"  # gRPC says RESOURCE_EXHAUSTED of a message above the limit as well
SIGNATURE = re.compile(r"serving signature .*not found", re.IGNORECASE)


def heals(reply: Reply) -> bool:
    """Whether the same request may succeed later: nothing was at fault with the request itself.

    Asking twice is safe whatever became of the first time: a prediction changes nothing on the server.
    """
    overloaded = reply.code == "RESOURCE_EXHAUSTED" and TOO_LARGE not in reply.text
    return reply.code in (UNAVAILABLE, "CANCELLED") or overloaded


def error(reply: Reply, where: str, model: str, timeout: float) -> ServingError:
    """The error to raise. `where` says which server over which transport."""
    text = one_line(reply.text) or reply.code
    if reply.code == CLOSED:
        return ServingError(f"{text}: make a new client")
    if reply.code == DEADLINE:
        return late(where, timeout)
    if heals(reply):
        return Unavailable(
            f"{where} gives no answer ({text}): expected a server that is up and has room; "
            "see whether it runs, and whether host and port are right (by default 8500 is gRPC, 8501 is REST)"
        )
    if reply.code == "NOT_FOUND":
        return ModelNotFound(
            f"{where} has no such model ({text}): expected it to serve '{model}'; "
            "ask status(), or look at the server's model configuration"
        )
    if SIGNATURE.search(text):
        return ServingError(
            f"{where} serves another kind of model as '{model}' ({text}): expected one that `digits` exported"
        )
    if reply.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"):
        return BadRequest(text)
    return ServingError(f"{where} failed with {reply.code} ({text}): expected an answer; see its log")


def late(where: str, timeout: float) -> DeadlineExceeded:
    """The error of a call whose time is up."""
    return DeadlineExceeded(
        f"{where} gave no answer within {timeout:g} s: send fewer images a call, raise the timeout, "
        "or see whether the server is overloaded"
    )


def foreign(where: str, problem: object) -> ServingError:
    """The error of an answer that is not as agreed."""
    return ServingError(
        f"{where} answered {one_line(str(problem))}: expected what the wire contract says; "
        "see whether this is a server of this model, and of this transport"
    )
