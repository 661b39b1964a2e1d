"""The calls of both clients, written as plans, which the synchronous and the asynchronous client run.

A Session is one call: its deadline, its retries, and the one model version that answers all of it. Pictures
come from memory or from files, and a bad one does not fail the others: a server refuses the whole request for
it, so a refused group is split, at the picture that the server names if it does, until each bad one is alone.
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
from digits_client.codec import Codec, Images, LinePictures, Lines, Pictures, Pixels, Spec
from digits_client.contract import AREA, IMAGE_BYTES, MOST_LINES
from digits_client.effects import OK, Message, Plan, Read, Send, Wait
from digits_client.errors import (
    BadRequest,
    DeadlineExceeded,
    ModelNotFound,
    ServingError,
    Unavailable,
    one_line,
)
from digits_client.results import AVAILABLE, Answer, LinePrediction, Prediction, VersionStatus

T = TypeVar("T")
RESTARTS = 3  # of a call, when a rollout takes its version away


def predict(settings: Settings, images: Any) -> Plan[Answer[Prediction]]:
    """Predict the digits of pixels. See `effects` for plans."""
    data = pixel_images.pixels(images)

    def chunks(session: Session) -> Plan[tuple[Prediction, ...]]:
        made: list[Prediction] = []
        step = settings.chunk_images * AREA
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            made += yield from session.predict(Pixels(chunk, len(chunk) // AREA))
        return tuple(made)

    return (yield from _in_one_version(settings, chunks))


def predict_lines(settings: Settings, lines: Any) -> Plan[Answer[LinePrediction]]:
    """Predict what lines of writing say, from their pixels. Lines of like widths are sent together."""
    data = pixel_images.lines(lines)
    order = sorted(range(len(data)), key=lambda place: data[place][1])
    step = min(settings.chunk_images, MOST_LINES)

    def chunks(session: Session) -> Plan[tuple[LinePrediction, ...]]:
        made: dict[int, LinePrediction] = {}
        for start in range(0, len(order), step):
            places = order[start : start + step]
            pixels, widths = zip(*(data[place] for place in places), strict=True)
            read = yield from session.predict(Lines(pixels, widths))
            made |= zip(places, read, strict=True)
        return tuple(made[place] for place in range(len(data)))

    return (yield from _in_one_version(settings, chunks))


def predict_pictures(
    settings: Settings, sources: list[Source], on_error: str, kind: type[Pictures] = Pictures
) -> Plan[Answer[Result]]:
    """Predict the digits of PNG and JPEG files; with on_error="return" bad ones have their error in the
    answer. kind: what each file shows.
    """
    if on_error not in ("raise", "return"):
        raise BadRequest(f"on_error is {on_error!r}: expected 'raise' or 'return'")

    def all_of_them(session: Session) -> Plan[tuple[Result, ...]]:
        return _predict_each(session, sources, kind, keep_errors=on_error == "return")

    return (yield from _in_one_version(settings, all_of_them))


def status(settings: Settings) -> Plan[tuple[VersionStatus, ...]]:
    """Return every version of the model that the server knows."""
    return (yield from Session(settings).status())


def health(settings: Settings) -> Plan[bool]:
    """Return whether a version is ready to answer."""
    try:
        versions = yield from Session(replace(settings, retries=0)).status()
    except (Unavailable, DeadlineExceeded, ModelNotFound):
        return False
    return any(each.state == AVAILABLE for each in versions)


def _in_one_version(settings: Settings, work: Callable[[Session], Plan[tuple[T, ...]]]) -> Plan[Answer[T]]:
    session = Session(settings)
    for _ in range(RESTARTS + 1):
        try:
            done = yield from work(session)
            return Answer(done, session.answered)
        except VersionReplaced:
            session.restart()
    raise Unavailable(
        f"{settings.where} replaced the version in service {RESTARTS + 1} times during one call: "
        "expected one version for the whole call; send fewer images per call"
    )


def sources_from_paths(paths: Iterable[str | os.PathLike[str]]) -> list[Source]:
    """Return the sources for files. Raises BadRequest."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadRequest(f"paths are one {type(paths).__name__}: expected a list of paths; write [path]")
    return [Source(os.fspath(path), path=Path(path)) for path in paths]


def sources_from_bytes(given: Iterable[bytes]) -> list[Source]:
    """Return the sources for pictures in memory. Raises BadRequest."""
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


def sources_of_lines(given: Iterable[str | os.PathLike[str] | bytes]) -> list[Source]:
    """Return the sources for files, by path, and pictures in memory. Raises BadRequest."""
    if isinstance(given, bytes | bytearray | memoryview | str | os.PathLike):
        raise BadRequest(
            f"sources are one {type(given).__name__}: expected a list of paths or bytes; write [source]"
        )
    sources: list[Source] = []
    for i, each in enumerate(given):
        if isinstance(each, bytes | bytearray | memoryview):
            sources.append(Source(f"picture {i}", data=bytes(each)))
        elif isinstance(each, str | os.PathLike):
            sources += sources_from_paths([each])
        else:
            raise BadRequest(
                f"picture {i} is a {type(each).__name__}: expected a path or the bytes of a PNG or JPEG file"
            )
    return sources


FIRST_PAUSE = 0.2  # seconds before the first retry; doubled each time, less a random part of up to half


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked options of a client."""

    codec: Codec
    where: str  # for messages: "localhost:8500 over gRPC"
    model: str
    version: int | None
    timeout: float  # seconds for a whole call
    retries: int
    chunk_images: int  # most images of a request
    chunk_bytes: int  # most bytes of pictures in a request; a larger picture is sent alone
    clock: Callable[[], float]


class VersionReplaced(Exception):
    """The version that answered the first part of a call has left the server; never leaves this package."""


class Session:
    """The requests of one call. Its methods are plans, see `digits_client.effects`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = settings.version
        self.answered: int | None = None  # the version that made what this call has so far
        self._ends = settings.clock() + settings.timeout

    def restart(self) -> None:
        """Forget which version answered; the deadline stays."""
        self.version, self.answered = self.settings.version, None

    def predict(self, images: Images) -> Plan[list[Any]]:
        """Send one request. The version that answers the first one must answer the later ones too."""
        codec = self.settings.codec
        if self.version is None and not codec.names_version:
            yield from self._choose_version()
        try:
            body = yield from self.ask(codec.predict(Spec(self.settings.model, self.version), images))
        except ModelNotFound:
            if self.version is not None and self.settings.version is None:
                raise VersionReplaced from None
            raise
        try:
            answered: results.Outputs | results.LineOutputs
            made: list[Any]
            if isinstance(images, Lines | LinePictures):
                answered = codec.parse_lines(body, images.count)
                made = results.line_predictions(answered, images.count)
            else:
                answered = codec.parse_prediction(body, images.count)
                made = results.predictions(answered, images.count)
        except ValueError as problem:
            raise errors.unexpected_answer(self.settings.where, problem) from None
        if answered.version is not None:
            if self.version not in (None, answered.version):
                surprise = f"as version {answered.version}, although version {self.version} was requested"
                raise errors.unexpected_answer(self.settings.where, surprise)
            self.version = answered.version
        self.answered = self.version
        return made

    def _choose_version(self) -> Plan[None]:
        """Choose the version in service: a REST answer does not say which version made it."""
        ready = [each for each in (yield from self.status()) if each.state == AVAILABLE]
        if not ready:
            raise Unavailable(
                f"{self.settings.where} has no version of '{self.settings.model}' ready: "
                "expected one that is AVAILABLE; call status() to see the state of each"
            )
        self.version = max(each.version for each in ready)

    def status(self) -> Plan[tuple[VersionStatus, ...]]:
        """Return every version that the server knows, newest first."""
        codec = self.settings.codec
        body = yield from self.ask(codec.status(Spec(self.settings.model, self.settings.version)))
        try:
            return codec.parse_status(body)
        except ValueError as problem:
            raise errors.unexpected_answer(self.settings.where, problem) from None

    def ask(self, message: Message) -> Plan[bytes]:
        """Return the body of the reply to a message; retry, after a pause, what may succeed later, until the
        deadline.
        """
        settings, pause = self.settings, FIRST_PAUSE
        failure: ServingError = errors.timed_out(settings.where, settings.timeout)
        for attempt in range(settings.retries + 1):
            left = self._ends - settings.clock()
            if left <= 0:
                break
            reply = yield Send(message, left)
            if reply.code == OK:
                body: bytes = reply.body
                return body
            failure = errors.from_reply(reply, settings.where, settings.model, settings.timeout)
            wait = pause * random.uniform(0.5, 1)
            last = attempt == settings.retries or settings.clock() + wait >= self._ends
            if last or not errors.is_retryable(reply):
                break
            yield Wait(wait)
            pause *= 2
        raise failure


LARGEST = 64 << 20  # bytes; the most that a server reads, 16 million pixels, is smaller as a PNG or JPEG
MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
NAMED = re.compile(rf"{IMAGE_BYTES}\[(\d+)\] ?([^\]\[]*)")
TRACE = re.compile(r"^Graph execution error: |\[\[.*", re.DOTALL)  # where it happened


@dataclass(frozen=True, slots=True)
class Source:
    """A picture: its bytes, or the file that holds it."""

    name: str
    data: bytes = b""
    path: Path | None = None


Result = Prediction | LinePrediction | BadRequest
_Item = tuple[int, str, bytes]  # place among all, name, bytes


@dataclass(slots=True)
class _Run:
    session: Session
    kind: type[Pictures]
    keep_errors: bool
    results: dict[int, Result] = field(default_factory=dict)

    def fail(self, index: int, name: str, problem: str) -> None:
        error = BadRequest(f"{name}: {problem}")
        if not self.keep_errors:
            raise error
        self.results[index] = error


def _predict_each(
    session: Session, sources: Sequence[Source], kind: type[Pictures], *, keep_errors: bool
) -> Plan[tuple[Result, ...]]:
    """Return one result per source, in order; a bad one's error is raised without `keep_errors`."""
    run = _Run(session, kind, keep_errors)
    most = min(session.settings.chunk_images, kind.most or session.settings.chunk_images)
    group: list[_Item] = []
    size = 0
    for index, source in enumerate(sources):
        data: bytes | OSError = source.data if source.path is None else (yield Read(source.path, LARGEST + 1))
        problem = _problem(data, kind)
        if isinstance(data, OSError) or problem:
            run.fail(index, source.name, problem)
            continue
        full = size + len(data) > session.settings.chunk_bytes or len(group) == most
        if group and full:
            yield from _group(run, group)
            group, size = [], 0
        group.append((index, source.name, data))
        size += len(data)
    if group:
        yield from _group(run, group)
    return tuple(run.results[index] for index in range(len(sources)))


def _problem(data: bytes | OSError, kind: type[Pictures]) -> str:
    """Return what is obviously wrong with a picture; "" for nothing."""
    if isinstance(data, OSError):
        return f"can't be read ({data.strerror or data}): expected a PNG or JPEG file"
    if not data:
        return "is empty: expected a PNG or JPEG file"
    if len(data) > LARGEST:
        return f"has more than {LARGEST >> 20} MiB: expected a picture of {kind.shows}; make it smaller"
    if not data.startswith(MAGICS):
        return "is neither a PNG nor a JPEG file: convert it to one of them"
    return ""


def _group(run: _Run, items: list[_Item]) -> Plan[None]:
    try:
        made = yield from run.session.predict(run.kind([data for _, _, data in items]))
    except BadRequest as error:
        if len(items) == 1:
            index, name, _ = items[0]
            run.fail(index, name, _reason(str(error), run.kind))
        else:
            for part in _parts(items, str(error)):
                yield from _group(run, part)
        return
    for (index, _, _), prediction in zip(items, made, strict=True):
        run.results[index] = prediction


def _parts(items: list[_Item], message: str) -> list[list[_Item]]:
    """Return the picture that the server names, and the rest in halves.

    A server that batches requests counts through all of them: the number may then be beyond ours, or another
    picture's. So the named picture is sent again alone rather than taken to be the bad one.
    """
    named = NAMED.search(message)
    place = int(named[1]) if named else len(items)
    suspect = items[place : place + 1]
    rest = items[:place] + items[place + 1 :]
    half = (len(rest) + 1) // 2
    return [part for part in (suspect, rest[:half], rest[half:]) if part]


def _reason(text: str, kind: type[Pictures]) -> str:
    """Return the server's message about a single picture, without the graph's details."""
    named = NAMED.search(text)
    if named and named[2]:
        return named[2]
    reason = one_line(TRACE.sub("", text), 200)
    return f"was refused ({reason}): expected a complete PNG or JPEG file of {kind.shows}"
