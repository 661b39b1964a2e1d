"""The public calls as plans, the same for the synchronous and the asynchronous client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from digits_client import images as pixel_images
from digits_client import pictures
from digits_client.codec import Pixels
from digits_client.contract import AREA
from digits_client.errors import BadRequest, DeadlineExceeded, ModelNotFound, Unavailable
from digits_client.exchange import Plan
from digits_client.pictures import Result, Source
from digits_client.results import AVAILABLE, Answer, Prediction, VersionStatus
from digits_client.session import Moved, Session, Settings

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
        return pictures.predict(session, sources, keep_errors=on_error == "return")

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
