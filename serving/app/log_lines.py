"""Log lines: JSON for programs, words for a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from digits_client.errors import one_line

Tell = Callable[[Mapping[str, Any]], None]  # takes the fields of a line


def as_json(stream: TextIO, fields: Mapping[str, Any]) -> None:
    """One object a line, with the time."""
    at = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    _write(stream, orjson.dumps({"at": at, **fields}, default=str).decode())


def as_text(stream: TextIO, fields: Mapping[str, Any]) -> None:
    """The same in words, for a person."""
    if "route" in fields:
        clock = time.strftime("%H:%M:%S")
        line = f"{clock} {fields['status']} {fields['method']} {fields['route']} {fields['ms']:.1f} ms"
        _write(stream, f"{line} {fields.get('details', '')}".rstrip())
    else:
        _write(stream, one_line(str(fields.get("message", fields))))


def event(message: str, level: str = "info") -> dict[str, str]:
    """The fields of a line that is about no request."""
    return {"level": level, "message": message}


def _write(stream: TextIO, line: str) -> None:
    # The log's reader may have gone away; keep serving.
    with contextlib.suppress(OSError, ValueError):
        stream.write(line + "\n")
        stream.flush()
