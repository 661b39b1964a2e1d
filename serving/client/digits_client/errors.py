"""The errors that a call can raise, and which reply leads to which; their texts say what to do.

ServingError          the server did not answer as the wire contract says, or this client is closed
├── Unavailable       nothing answers at the address, or it is not ready
├── DeadlineExceeded  the answer did not come within the deadline
├── BadRequest        the input was refused, by this client or by the server
└── ModelNotFound     the server has no such model or version
"""

from __future__ import annotations

import io
import re
import sys

from digits_client.contract import LINES
from digits_client.effects import CLOSED, DEADLINE, UNAVAILABLE, Reply

_ADDRESSES = re.compile(r"\b(?:ipv4|ipv6|unix|dns):\S+: ")  # gRPC's way to write them, with %5B for [
_NUMBERS = re.compile(r"\[Errno -?\d+\] | \(\d+\)")


class ServingError(Exception):
    """Base class of the client's errors, with a text of one line. `exit_code`: for a command that it ends."""

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
    """Return the text on one line, shortened and without control characters, safe for a terminal."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split()
    line = " ".join(words)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def escape_unprintable() -> None:
    """Have output show what its encoding lacks as an escape, such as \\u2713, rather than fail on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


TOO_LARGE = "larger than max"  # gRPC answers RESOURCE_EXHAUSTED to a message above the limit as well
SIGNATURE = re.compile(r"serving signature .*not found", re.IGNORECASE)


def is_retryable(reply: Reply) -> bool:
    """Return whether the same request may succeed later: it was not itself at fault.

    Repeating one is safe whatever became of the first: a prediction changes nothing on the server.
    """
    overloaded = reply.code == "RESOURCE_EXHAUSTED" and TOO_LARGE not in reply.text
    return reply.code in (UNAVAILABLE, "CANCELLED") or overloaded


def from_reply(reply: Reply, where: str, model: str, timeout: float) -> ServingError:
    """Return the error for a reply. `where` names the server and the transport."""
    text = one_line(reply.text) or reply.code
    if reply.code == CLOSED:
        return ServingError(f"{text}: make a new client")
    if reply.code == DEADLINE:
        return timed_out(where, timeout)
    if is_retryable(reply):
        return Unavailable(
            f"{where} does not answer ({_reason(text)}): expected a server that is up and not overloaded; "
            "check that it runs, and the host and port (by default 8500 is gRPC, 8501 is REST)"
        )
    if reply.code == "NOT_FOUND":
        return ModelNotFound(
            f"{where} has no such model ({text}): expected it to serve '{model}'; "
            "call status(), or check the server's model configuration"
        )
    if found := SIGNATURE.search(text):
        if LINES in found[0]:
            return ServingError(
                f"{where} serves a version of '{model}' that reads no lines ({text}): expected one exported "
                "since there is a line reader; publish and promote a new version"
            )
        return ServingError(
            f"{where} serves another kind of model as '{model}' ({text}): expected one that `digits` exported"
        )
    if reply.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"):
        return BadRequest(text)
    return ServingError(f"{where} failed with {reply.code} ({text}): expected an answer; see its log")


def _reason(text: str) -> str:
    """Return why there is no connection, without gRPC's names of addresses and the system's numbers."""
    if "onnection refused" in text:
        return "nothing listens there"
    return _NUMBERS.sub("", _ADDRESSES.sub("", text))


def timed_out(where: str, timeout: float) -> DeadlineExceeded:
    """Return the error for a call that took too long."""
    return DeadlineExceeded(
        f"{where} did not answer within {timeout:g} s: send fewer images per call, raise the timeout, "
        "or check whether the server is overloaded"
    )


def unexpected_answer(where: str, problem: object) -> ServingError:
    """Return the error for an answer that breaks the wire contract."""
    return ServingError(
        f"{where} answered {one_line(str(problem))}: expected an answer as in the wire contract; "
        "check that this is a server of this model and transport"
    )
