"""Pictures from memory or from files → predictions, where a bad one costs the others nothing.

A server fails the whole request for one bad picture. So a refused group is cut up, at the picture that the
server names if it does, until each bad one stands alone: what is said then is about that picture for sure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from digits_client.codec import Pictures
from digits_client.contract import IMAGE_BYTES
from digits_client.errors import BadRequest, one_line
from digits_client.exchange import Plan, Read
from digits_client.results import Prediction
from digits_client.session import Session

LARGEST = 64 << 20  # bytes; what a server reads, 16 million pixels, stays below as a PNG or JPEG
MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
NAMED = re.compile(rf"{IMAGE_BYTES}\[(\d+)\] ?([^\]\[]*)")
TRACE = re.compile(r"^Graph execution error: |\[\[.*", re.DOTALL)  # where it happened


@dataclass(frozen=True, slots=True)
class Source:
    """A picture: its bytes, or the file that holds it."""

    name: str
    data: bytes = b""
    path: Path | None = None


Result = Prediction | BadRequest
_Item = tuple[int, str, bytes]  # place among all, name, bytes


@dataclass(slots=True)
class _Run:
    session: Session
    keep_errors: bool
    results: dict[int, Result] = field(default_factory=dict)

    def fail(self, index: int, name: str, problem: str) -> None:
        error = BadRequest(f"{name}: {problem}")
        if not self.keep_errors:
            raise error
        self.results[index] = error


def predict(session: Session, sources: Sequence[Source], *, keep_errors: bool) -> Plan[tuple[Result, ...]]:
    """One result a source, in order. A bad one's is its error with `keep_errors`, else it is raised."""
    run = _Run(session, keep_errors)
    group: list[_Item] = []
    size = 0
    for index, source in enumerate(sources):
        data: bytes | OSError = source.data if source.path is None else (yield Read(source.path, LARGEST + 1))
        problem = _problem(data)
        if isinstance(data, OSError) or problem:
            run.fail(index, source.name, problem)
            continue
        full = size + len(data) > session.settings.chunk_bytes or len(group) == session.settings.chunk_images
        if group and full:
            yield from _group(run, group)
            group, size = [], 0
        group.append((index, source.name, data))
        size += len(data)
    if group:
        yield from _group(run, group)
    return tuple(run.results[index] for index in range(len(sources)))


def _problem(data: bytes | OSError) -> str:
    """What is wrong with a picture at first sight; empty if nothing."""
    if isinstance(data, OSError):
        return f"can't be read ({data.strerror or data}): expected a PNG or JPEG file"
    if not data:
        return "is empty: expected a PNG or JPEG file"
    if len(data) > LARGEST:
        return f"has more than {LARGEST >> 20} MiB: expected a picture of one digit; make it smaller"
    if not data.startswith(MAGICS):
        return "is neither a PNG nor a JPEG file: convert it to one of them"
    return ""


def _group(run: _Run, items: list[_Item]) -> Plan[None]:
    try:
        made = yield from run.session.predict(Pictures([data for _, _, data in items]))
    except BadRequest as error:
        if len(items) == 1:
            index, name, _ = items[0]
            run.fail(index, name, _told(str(error)))
        else:
            for part in _parts(items, str(error)):
                yield from _group(run, part)
        return
    for (index, _, _), prediction in zip(items, made, strict=True):
        run.results[index] = prediction


def _parts(items: list[_Item], told: str) -> list[list[_Item]]:
    """The picture that the server names, and the rest in halves.

    A server that batches requests counts through all of them: then the number may be beyond ours or be
    another picture's. So the named one is asked again, never believed to be bad.
    """
    named = NAMED.search(told)
    place = int(named[1]) if named else len(items)
    suspect = items[place : place + 1]
    rest = items[:place] + items[place + 1 :]
    half = (len(rest) + 1) // 2
    return [part for part in (suspect, rest[:half], rest[half:]) if part]


def _told(text: str) -> str:
    """The server's words about a single picture, without the graph's."""
    named = NAMED.search(text)
    if named and named[2]:
        return named[2]
    reason = one_line(TRACE.sub("", text), 200)
    return f"was refused ({reason}): expected a whole PNG or JPEG file of one digit"
