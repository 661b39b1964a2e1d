"""The public calls as plans, the same for the synchronous and the asynchronous client.

A Session is one call: its deadline, its retries, and the one model version that answers all of it. Pictures
come from memory or from files, and a bad one costs the others nothing: a server fails the whole request for
it, so a refused group is cut up, at the picture that the server names if it does, until each bad one stands
alone.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from digits_client import errors, results
from digits_client import images as pixel_images
from digits_client.codec import Codec, Images, Pictures, Pixels, Spec
from digits_client.contract import AREA, IMAGE_BYTES
from digits_client.effects import OK, Message, Plan, Read, Send, Wait
from digits_client.errors import (
    BadRequest,
    DeadlineExceeded,
    ModelNotFound,
    ServingError,
    Unavailable,
    one_line,
)
from digits_client.results import AVAILABLE, Answer, Prediction, VersionStatus

T = TypeVar("T")
MOVES = 3  # a call begins again so many times when a rollout takes its version away


def predict(settings: Settings, images: Any) -> Plan[Answer[Prediction]]:
    """Pixels → predictions."""
    data = pixel_images.pixels(images)

    def chunks(session: Session) -> Plan[tuple[Prediction, ...]]:
        made: list[Prediction] = []
        step = settings.chunk_images * AREA
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            made += yield from session.predict(Pixels(chunk, len(chunk) // AREA))
        return tuple(made)

    return (yield from _in_one_version(settings, chunks))


def predict_pictures(settings: Settings, sources: list[Source], on_error: str) -> Plan[Answer[Result]]:
    """PNG and JPEG files → predictions, and with on_error="return" the errors of bad ones among them."""
    if on_error not in ("raise", "return"):
        raise BadRequest(f"on_error is {on_error!r}: expected 'raise' or 'return'")

    def all_of_them(session: Session) -> Plan[tuple[Result, ...]]:
        return _predict_each(session, sources, keep_errors=on_error == "return")

    return (yield from _in_one_version(settings, all_of_them))


def status(settings: Settings) -> Plan[tuple[VersionStatus, ...]]:
    """Every version of the model that the server knows."""
    return (yield from Session(settings).status())


def health(settings: Settings) -> Plan[bool]:
    """Whether a version would answer now."""
    try:
        versions = yield from Session(replace(settings, retries=0)).status()
    except (Unavailable, DeadlineExceeded, ModelNotFound):
        return False
    return any(each.state == AVAILABLE for each in versions)


def _in_one_version(settings: Settings, work: Callable[[Session], Plan[tuple[T, ...]]]) -> Plan[Answer[T]]:
    session = Session(settings)
    for _ in range(MOVES + 1):
        try:
            done = yield from work(session)
            return Answer(done, session.answered)
        except Moved:
            session.restart()
    raise Unavailable(
        f"{settings.where} replaced the version in service {MOVES + 1} times during one call: "
        "expected it to stay for a call; send fewer images a call"
    )


def files(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """Paths as sources."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadRequest(f"paths are one {type(paths).__name__}: expected a list of paths; write [path]")
    return [Source(os.fspath(path), path=Path(path)) for path in paths]


def blobs(given: Iterable[bytes]) -> list[Source]:
    """Files in memory as sources."""
    if isinstance(given, bytes | bytearray | memoryview | str):
        raise BadRequest(
            f"pictures are one {type(given).__name__}: expected a list of bytes; write [picture]"
        )
    sources = []
    for i, each in enumerate(given):
        if not isinstance(each, bytes | bytearray | memoryview):
            raise BadRequest(
                f"picture {i} is a {type(each).__name__}: expected the bytes of a PNG or JPEG file"
            )
        sources.append(Source(f"picture {i}", data=bytes(each)))
    return sources


FIRST_PAUSE = 0.2  # seconds before the first retry; doubles, less up to half of it at random


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client was made with."""

    codec: Codec
    where: str  # for messages: "localhost:8500 over gRPC"
    model: str
    version: int | None
    timeout: float  # seconds for a whole call
    retries: int
    chunk_images: int  # at most so many images a request
    chunk_bytes: int  # at most so many bytes of pictures a request; a larger one goes alone
    clock: Callable[[], float]


class Moved(Exception):
    """The version that answered the first part of a call has left the server; never leaves this package."""


class Session:
    """The requests of one call. Its methods are plans, see digits_client.effects."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = settings.version
        self.answered: int | None = None  # the version that made what this call has so far
        self._ends = settings.clock() + settings.timeout

    def restart(self) -> None:
        """Forget which version answered; the deadline stays."""
        self.version, self.answered = self.settings.version, None

    def predict(self, images: Images) -> Plan[list[Prediction]]:
        """One request. The first one settles the version that the later ones ask for."""
        codec = self.settings.codec
        if self.version is None and not codec.tells_version:
            yield from self._settle()
        try:
            body = yield from self.ask(codec.predict(Spec(self.settings.model, self.version), images))
        except ModelNotFound:
            if self.version is not None and self.settings.version is None:
                raise Moved from None
            raise
        try:
            answered = codec.predicted(body, images.count)
            made = results.predictions(answered, images.count)
        except ValueError as problem:
            raise errors.foreign(self.settings.where, problem) from None
        if answered.version is not None:
            if self.version not in (None, answered.version):
                surprise = f"as version {answered.version} where version {self.version} was asked"
                raise errors.foreign(self.settings.where, surprise)
            self.version = answered.version
        self.answered = self.version
        return made

    def _settle(self) -> Plan[None]:
        """Ask which version is in service: an answer over REST does not tell which one made it."""
        ready = [each for each in (yield from self.status()) if each.state == AVAILABLE]
        if not ready:
            raise Unavailable(
                f"{self.settings.where} has no version of '{self.settings.model}' ready: "
                "expected one that is AVAILABLE; ask status() what became of them"
            )
        self.version = max(each.version for each in ready)

    def status(self) -> Plan[tuple[VersionStatus, ...]]:
        """Every version that the server knows, newest first."""
        codec = self.settings.codec
        body = yield from self.ask(codec.status(Spec(self.settings.model, self.settings.version)))
        try:
            return codec.statuses(body)
        except ValueError as problem:
            raise errors.foreign(self.settings.where, problem) from None

    def ask(self, message: Message) -> Plan[bytes]:
        """The answer's bytes; again after a pause where that can heal, never past the deadline."""
        settings, pause = self.settings, FIRST_PAUSE
        failure: ServingError = errors.late(settings.where, settings.timeout)
        for attempt in range(settings.retries + 1):
            left = self._ends - settings.clock()
            if left <= 0:
                break
            reply = yield Send(message, left)
            if reply.code == OK:
                body: bytes = reply.body
                return body
            failure = errors.error(reply, settings.where, settings.model, settings.timeout)
            wait = pause * random.uniform(0.5, 1)
            last = attempt == settings.retries or settings.clock() + wait >= self._ends
            if last or not errors.heals(reply):
                break
            yield Wait(wait)
            pause *= 2
        raise failure


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


def _predict_each(
    session: Session, sources: Sequence[Source], *, keep_errors: bool
) -> Plan[tuple[Result, ...]]:
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
