"""Every error that a call may end in, each telling what happened, what was expected and what to do.

ServingError          the server did not answer as the wire contract says, or this client is closed
├── Unavailable       nothing answers at the address, or it is not ready
├── DeadlineExceeded  the answer did not come within the deadline
├── BadRequest        the input was refused, by this client or by the server
└── ModelNotFound     the server has no such model or version
"""


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
