"""The words between the core, which decides, and the shells, which act: plans yield effects and get replies.

A plan is a generator. It yields `Send`, `Wait` or `Read` and is sent a `Reply`, None or the file's bytes (or
the OSError that reading it raised). The synchronous and the asynchronous client drive the same plans.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

OK = "OK"
UNAVAILABLE = "UNAVAILABLE"
DEADLINE = "DEADLINE_EXCEEDED"
CLOSED = "CLOSED"  # no gRPC code: the client itself was closed


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to a server. `path` is a gRPC method or a URL's path; `verb` matters to REST alone."""

    path: str
    body: bytes = b""
    verb: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or why nothing did. Transports raise nothing for what a network may do."""

    code: str  # the name of a gRPC status code, over REST too
    body: bytes = b""  # of an answer
    text: str = ""  # of an error


@dataclass(frozen=True, slots=True)
class Send:
    """Exchange a message for a reply within so many seconds, whatever happens."""

    message: Message
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Let some seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Read:
    """Read a file, at most `limit` bytes of it."""

    path: Path
    limit: int


Effect = Send | Wait | Read
T = TypeVar("T")
Plan = Generator[Effect, Any, T]
