"""DigitClient: the synchronous client."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, overload

from digits_client import calls, options
from digits_client.codec import LinePictures
from digits_client.contract import MODEL
from digits_client.effects import Message, Plan, Read, Reply, Send
from digits_client.errors import BadRequest, ServingError
from digits_client.results import Answer, LinePrediction, Prediction, VersionStatus

T = TypeVar("T")


class Transport(Protocol):
    """Sends messages to one server."""

    def exchange(self, message: Message, seconds: float) -> Reply:
        """Send a message and return the reply, within so many seconds."""

    def close(self) -> None:
        """Close the connections."""


class DigitClient:
    """A client of one server; use it in a `with` block, or close() it. Threads may share one.

    target: HOST, HOST:PORT, http://… or https://…; without a port 8500 for gRPC, 8501 for REST.
    timeout: seconds for a whole call, with all its chunks, pauses and retries.
    version: the model version to use, or ModelNotFound is raised; None for the one in service.
    retries: how often a request is repeated after a passing failure: no connection, an overloaded server.
    chunk_images, chunk_bytes: larger inputs are sent in several requests, one after another.
    ca_file: for https, a PEM file of the certificates to trust in place of the system's.
    Connects at the first call. Raises BadRequest for invalid options.
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
        roots = options.read_ca_file(ca_file)
        self._transport: Transport
        if transport == "grpc":
            from digits_client.transport_grpc import GrpcTransport

            self._transport = GrpcTransport(place, roots)
        else:
            from digits_client.transport_rest import RestTransport

            self._transport = RestTransport(place, roots)
        self._closed = False

    def predict(self, images: Any) -> Answer[Prediction]:
        """Predict the digits of pixels: uint8 [n, 28, 28] or [28, 28], white ink on black, as in MNIST.

        images: an array of any library, or nested lists of whole numbers. Raises ServingError and its
        subclasses; BadRequest for floats, other shapes and numbers outside 0–255.
        """
        return self._run(calls.predict(self._settings, images))

    @overload
    def predict_files(self, paths: Iterable[str | os.PathLike[str]]) -> Answer[Prediction]: ...
    @overload
    def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["raise"]
    ) -> Answer[Prediction]: ...
    @overload
    def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["return"]
    ) -> Answer[Prediction | BadRequest]: ...
    def predict_files(
        self, paths: Iterable[str | os.PathLike[str]], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Answer[Any]:
        """Predict the digit of each PNG or JPEG file, one digit per file.

        A file that can't be read as a picture raises BadRequest; with on_error="return" its BadRequest takes
        its place in the answer, and the other files are answered. Raises ServingError and its subclasses.
        """
        return self._run(calls.predict_pictures(self._settings, calls.sources_from_paths(paths), on_error))

    @overload
    def predict_bytes(self, pictures: Iterable[bytes]) -> Answer[Prediction]: ...
    @overload
    def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["raise"]
    ) -> Answer[Prediction]: ...
    @overload
    def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["return"]
    ) -> Answer[Prediction | BadRequest]: ...
    def predict_bytes(
        self, pictures: Iterable[bytes], *, on_error: Literal["raise", "return"] = "raise"
    ) -> Answer[Any]:
        """Predict the digit of each PNG or JPEG file in memory; otherwise like predict_files."""
        return self._run(calls.predict_pictures(self._settings, calls.sources_from_bytes(pictures), on_error))

    def predict_lines(self, lines: Any) -> Answer[LinePrediction]:
        """Predict what lines of writing say: uint8 [32, w] each, grey, upright, w from 1 to 2,048.

        lines: any widths in one call; arrays of any library, or nested lists of whole numbers; one array
        [n, 32, w] too. Any polarity and paper: best are digits of half to four fifths of the height. Raises
        ServingError and its subclasses; BadRequest for floats, other shapes and numbers outside 0–255.
        """
        return self._run(calls.predict_lines(self._settings, lines))

    @overload
    def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes]
    ) -> Answer[LinePrediction]: ...
    @overload
    def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes], *, on_error: Literal["raise"]
    ) -> Answer[LinePrediction]: ...
    @overload
    def predict_line_pictures(
        self, sources: Iterable[str | os.PathLike[str] | bytes], *, on_error: Literal["return"]
    ) -> Answer[LinePrediction | BadRequest]: ...
    def predict_line_pictures(
        self,
        sources: Iterable[str | os.PathLike[str] | bytes],
        *,
        on_error: Literal["raise", "return"] = "raise",
    ) -> Answer[Any]:
        """Predict what each PNG or JPEG file says, one line of writing per file, at most 64 times as wide as
        high.

        sources: paths, or files in memory as bytes. Positions are in pixels of the line at 32 pixels' height.
        Otherwise like predict_files; a blank picture has no text, which is no error.
        """
        given = calls.sources_of_lines(sources)
        return self._run(calls.predict_pictures(self._settings, given, on_error, LinePictures))

    def status(self) -> tuple[VersionStatus, ...]:
        """Return every version of the model that the server knows, newest first.

        Raises ServingError and its subclasses.
        """
        return self._run(calls.status(self._settings))

    def health(self) -> bool:
        """Return whether a version is ready to answer; False also when nothing answers in time.

        Never retries.
        """
        return self._run(calls.health(self._settings))

    def close(self) -> None:
        """Close the connections; later calls raise ServingError."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        if self._closed:
            raise ServingError("this client is closed: make a new one, or call inside its `with` block")
        got: Any = None
        while True:
            try:
                effect = plan.send(got)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(effect, Send):
                got = self._transport.exchange(effect.message, effect.seconds)
            elif isinstance(effect, Read):
                got = read(effect.path, effect.limit)
            else:
                got = time.sleep(effect.seconds)  # type: ignore[func-returns-value]


def read(path: Path, limit: int) -> bytes | OSError:
    """Return at most `limit` bytes of a file, or the error why it can't be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(limit)
    except OSError as error:
        return error
