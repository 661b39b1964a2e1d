"""The effects that plans yield: what the calls decide to do, and the clients carry out.

A plan is a generator. It yields `Send`, `Wait` or `Read` and is sent a `Reply`, None or the file's bytes (or
the OSError that reading it raised). The synchronous and the asynchronous client run the same plans.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

OK = "OK"
UNAVAILABLE = "UNAVAILABLE"
DEADLINE = "DEADLINE_EXCEEDED"
CLOSED = "CLOSED"  # not a gRPC code: the client itself was closed


@dataclass(frozen=True, slots=True)
class Message:
    """A request to a server. `path` is a gRPC method or a URL's path; `verb` matters to REST alone."""

    path: str
    body: bytes = b""
    verb: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer, or why there is none. Transports raise nothing for network failures."""

    code: str  # the name of a gRPC status code, over REST too
    body: bytes = b""  # of an answer
    text: str = ""  # of an error


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message and get the reply, within so many seconds in any case."""

    message: Message
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Read:
    """Read a file, at most `limit` bytes of it."""

    path: Path
    limit: int


Effect = Send | Wait | Read
T = TypeVar("T")
Plan = Generator[Effect, Any, T]
