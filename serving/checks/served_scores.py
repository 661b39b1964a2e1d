"""Scores two published versions on labelled images and lines through one server, and measures their latency.

Promotion uses it. The champion is scored again on the candidate's images, since its own record is about
others once data are added.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits import wire
from digits.runtime.errors import StoreError
from serving.checks import golden, server_process
from serving.checks.comparison import Duel
from serving.checks.infra_validator import DEADLINE, OPTIONS
from serving.store.pointer import Pointer
from serving.store.store import Store

BATCH = 500  # images a request: 392 kB
LINES = 50  # lines a request
TIMED = (
    100  # single images or lines for each median, in turn, so that both meet the same noise of the machine
)
UNTIMED = 10  # requests before them


@dataclass(frozen=True)
class Written:
    """Lines of one width, uint8 [n, 32, w], and what each says, with a dot for every separator."""

    lines: NDArray[np.uint8]
    texts: Sequence[str]


def duel(
    store: Store,
    candidate: int,
    champion: int,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    program: Sequence[str] | None = None,
    written: Sequence[Written] = (),
) -> Duel:
    """Score two published versions. images: uint8 [n, 28, 28]; labels: [n], 0–9.

    written: lines, if both read lines. program: the server's command, default `server_process.command`.
    Raises StoreError when the server does not load both or does not answer.
    """
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    for number in (candidate, champion):
        store.intact(number)
    pointer = Pointer(str(store.folder), stable=champion, canary=candidate)
    with server_process.scratch() as scratch, server_process.start(pointer, scratch, program) as server:
        try:
            with grpc.insecure_channel(
                f"{server_process.LOOPBACK}:{server.grpc_port}", options=OPTIONS
            ) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                on_images = _compared(stub, *_image_requests(images, labels))
                on_lines = _compared(stub, *_line_requests(written)) if written else None
        except grpc.RpcError as error:
            raise StoreError(
                f"versions {candidate} and {champion} can't be compared, gRPC answered {error.code().name}: "
                f"{error.details()}; {server.describe()}"
            ) from None
    return replace(on_images, lines=on_lines)


@dataclass(frozen=True)
class _Request:
    """One request, and the right answers: one for each row of an output."""

    signature: str
    inputs: Mapping[str, NDArray[Any]]
    output: str
    expected: NDArray[Any]


def _image_requests(
    images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> tuple[list[_Request], list[_Request]]:
    """Requests of many images, and of single ones."""

    def asked(start: int, size: int) -> _Request:
        inputs = {wire.IMAGES: np.asarray(images[start : start + size])}
        return _Request(wire.PIXELS, inputs, wire.DIGIT, labels[start : start + size])

    many = [asked(start, BATCH) for start in range(0, len(images), BATCH)]
    return many, [asked(at, 1) for at in range(min(len(images), TIMED))]


def _line_requests(written: Sequence[Written]) -> tuple[list[_Request], list[_Request]]:
    """Requests of many lines, and of single ones, of every width in turn."""

    def asked(group: Written, start: int, size: int) -> _Request:
        lines = group.lines[start : start + size]
        width = np.full(len(lines), lines.shape[2], np.int32)
        expected = np.array([text.encode() for text in group.texts[start : start + size]], object)
        return _Request(wire.LINES, {wire.LINE_IMAGES: lines, wire.WIDTH: width}, wire.WRITTEN, expected)

    many = [asked(group, at, LINES) for group in written for at in range(0, len(group.lines), LINES)]
    single = [asked(group, at, 1) for at in range(TIMED) for group in written if at < len(group.lines)]
    return many, single[:TIMED]


def _compared(stub: Any, many: Sequence[_Request], single: Sequence[_Request]) -> Duel:
    candidate, champion = (
        np.concatenate([_right(stub, model, each) for each in many] or [NONE])
        for model in (wire.CANARY, wire.MODEL)
    )
    latency = _latencies(stub, single)
    return Duel(candidate, champion, latency[wire.CANARY], latency[wire.MODEL])


NONE = np.zeros(0, np.bool_)


def _right(stub: Any, model: str, request: _Request) -> NDArray[np.bool_]:
    """Whether each row is read correctly: bool [n]."""
    asked = golden.predict_request(model, request.signature, request.inputs)
    answer = golden.of_predict(stub.Predict(asked, timeout=DEADLINE)).get(request.output)
    if answer is None or answer.shape != request.expected.shape:
        raise StoreError(
            f"{model} did not answer one {request.output} for each of {len(request.expected)} rows"
        )
    right: NDArray[np.bool_] = np.asarray(answer == request.expected, np.bool_)
    return right


def _latencies(stub: Any, single: Sequence[_Request]) -> dict[str, float]:
    """The median milliseconds of a request by model; the models are asked in turn."""
    times: dict[str, list[float]] = {wire.MODEL: [], wire.CANARY: []}
    for turn in range((UNTIMED + TIMED) if single else 0):
        for model, values in times.items():
            started = time.perf_counter()
            _right(stub, model, single[turn % len(single)])
            values.append((time.perf_counter() - started) * 1000)
    return {model: statistics.median(values[UNTIMED:]) if values else 0.0 for model, values in times.items()}
