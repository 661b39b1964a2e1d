"""Scores two published versions on labelled images through one server, and measures their latency.

Promotion uses it. The champion is scored again on the candidate's images, since its own record is about
others once data are added.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
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
TIMED = 100  # single images for each median, in turn, so that both meet the same noise of the machine
UNTIMED = 10  # requests before them


def duel(
    store: Store,
    candidate: int,
    champion: int,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    program: Sequence[str] | None = None,
) -> Duel:
    """Score two published versions. images: uint8 [n, 28, 28]; labels: [n], 0–9.

    program: the server's command, default `server_process.command`. Raises StoreError when the server does
    not load both or does not answer.
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
                right = {model: _right(stub, model, images, labels) for model in (wire.MODEL, wire.CANARY)}
                latency = _latencies(stub, images)
        except grpc.RpcError as error:
            raise StoreError(
                f"versions {candidate} and {champion} can't be compared, gRPC answered {error.code().name}: "
                f"{error.details()}; {server.describe()}"
            ) from None
    return Duel(right[wire.CANARY], right[wire.MODEL], latency[wire.CANARY], latency[wire.MODEL])


def _right(stub: Any, model: str, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each image is read correctly: bool [n]."""
    digits = np.empty(len(images), np.int64)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        digits[part] = _ask(stub, model, np.asarray(images[part]))
    right: NDArray[np.bool_] = digits == labels
    return right


def _latencies(stub: Any, images: NDArray[np.uint8]) -> dict[str, float]:
    """The median milliseconds for one image by model; the models are asked in turn."""
    times: dict[str, list[float]] = {wire.MODEL: [], wire.CANARY: []}
    for turn in range((UNTIMED + TIMED) if len(images) else 0):
        at = turn % len(images)
        for model, values in times.items():
            started = time.perf_counter()
            _ask(stub, model, np.asarray(images[at : at + 1]))
            values.append((time.perf_counter() - started) * 1000)
    return {model: statistics.median(values[UNTIMED:]) if values else 0.0 for model, values in times.items()}


def _ask(stub: Any, model: str, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    request = golden.predict_request(model, wire.PIXELS, {wire.IMAGES: images})
    answer = golden.of_predict(stub.Predict(request, timeout=DEADLINE)).get(wire.DIGIT)
    if answer is None or answer.shape != (len(images),):
        raise StoreError(f"{model} did not answer one {wire.DIGIT} for each of {len(images)} images")
    return answer
