"""AsyncDigitClient: the calls of DigitClient for asyncio."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, overload

from digits_client import calls, options
from digits_client.client import read
from digits_client.codec import LinePictures
from digits_client.contract import MODEL
from digits_client.effects import Message, Plan, Read, Reply, Send
from digits_client.errors import BadRequest, ServingError
from digits_client.options import Target
from digits_client.results import Answer, LinePrediction, Prediction, VersionStatus

T = TypeVar("T")


class AsyncTransport(Protocol):
    """Sends messages to one server."""

    async def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""

    async def close(self) -> None:
        """Close the connections."""


class AsyncDigitClient:
    """A client of one server; use it in an `async with` block, or close() it.

    Takes the arguments of DigitClient, and its methods return the same. Belongs to the event loop of its
    first call, whose tasks may share it; a cancelled call ends at once.
    """

    def __init__(
        self,
        target: str = "localhost",
        transport: Literal["grpc", "rest"] = "grpc",
        *,
        timeout: float = options.TIMEOUT,
        model: str = MODEL,
        version: int | None = None,
        retries: int = options.RETRIES,
        chunk_images: int = options.CHUNK_IMAGES,
        chunk_bytes: int = options.CHUNK_BYTES,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        place, self._settings = options.check(
            target,
            transport,
            timeout=timeout,
            model=model,
            version=version,
            retries=retries,
            chunk_images=chunk_images,
            chunk_bytes=chunk_bytes,
        )
        self._make = functools.partial(_transport, transport, place, options.read_ca_file(ca_file))
        self._transport: AsyncTransport | None = None  # made at the first call, in its event loop
        self._loop: object = None
        self._closed = False

    async def predict(self, images: Any) -> Answer[Prediction]:
        """Like DigitClient.predict."""
        return await self._run(calls.predict(self._settings, images))

    @overload
    async def predict_files(self, paths: Iterable[str | os.PathLike[str]]) -> Answer[Prediction]: ...
    @overload
    async def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["raise"]
    ) -> Answer[Prediction]: ...
    @overload
    async def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["return"]
    ) -> Answer[Prediction | BadRequest]: ...
    async def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Answer[Any]:
        """Like DigitClient.predict_files; files are read in a thread."""
        return await self._run(
            calls.predict_pictures(self._settings, calls.sources_from_paths(paths), on_error)
        )

    @overload
    async def predict_bytes(self, pictures: Iterable[bytes]) -> Answer[Prediction]: ...
    @overload
    async def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["raise"]
    ) -> Answer[Prediction]: ...
    @overload
    async def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["return"]
    ) -> Answer[Prediction | BadRequest]: ...
    async def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Answer[Any]:
        """Like DigitClient.predict_bytes."""
        return await self._run(
            calls.predict_pictures(self._settings, calls.sources_from_bytes(pictures), on_error)
        )

    async def predict_lines(self, lines: Any) -> Answer[LinePrediction]:
        """Like DigitClient.predict_lines."""
        return await self._run(calls.predict_lines(self._settings, lines))

    @overload
    async def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes]
    ) -> Answer[LinePrediction]: ...
    @overload
    async def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes], *, on_error: Literal["raise"]
    ) -> Answer[LinePrediction]: ...
    @overload
    async def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes], *, on_error: Literal["return"]
    ) -> Answer[LinePrediction | BadRequest]: ...
    async def predict_line_pictures(
        self,
        sources: Iterable[str | os.PathLike[str] | bytes],
        *,
        on_error: Literal["raise", "return"] = "raise",
    ) -> Answer[Any]:
        """Like DigitClient.predict_line_pictures; files are read in a thread."""
        given = calls.sources_of_lines(sources)
        return await self._run(calls.predict_pictures(self._settings, given, on_error, LinePictures))

    async def status(self) -> tuple[VersionStatus, ...]:
        """Like DigitClient.status."""
        return await self._run(calls.status(self._settings))

    async def health(self) -> bool:
        """Like DigitClient.health."""
        return await self._run(calls.health(self._settings))

    async def close(self) -> None:
        """Close the connections; later calls raise ServingError."""
        self._closed = True
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, plan: Plan[T]) -> T:
        import asyncio

        if self._closed:
            raise ServingError("this client is closed: make a new one, or call inside its `async with` block")
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, self._loop = self._make(), loop
        if self._loop is not loop:
            raise ServingError("this client belongs to another event loop: make a new one in this loop")
        got: Any = None
        while True:
            try:
                effect = plan.send(got)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(effect, Send):
                got = await self._transport.exchange(effect.message, effect.seconds)
            elif isinstance(effect, Read):
                got = await asyncio.to_thread(read, effect.path, effect.limit)
            else:
                got = await asyncio.sleep(effect.seconds)  # type: ignore[func-returns-value]


def _transport(transport: str, place: Target, roots: bytes | None) -> AsyncTransport:
    if transport == "grpc":
        from digits_client.transport_grpc import AsyncGrpcTransport

        return AsyncGrpcTransport(place, roots)
    from digits_client.transport_rest import AsyncRestTransport

    return AsyncRestTransport(place, roots)
