"""Checks that a real server loads an exported model and answers as the model does without a server.

Publishing calls it, before the version gets a number. A model can be right in Python and still not be
servable: a missing file, an operation that the server lacks, a signature that it interprets differently.
"""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digits import wire
from digits.runtime.errors import StoreError
from serving.checks import golden, offline, server_process
from serving.checks.golden import Arrays, Golden
from serving.store.pointer import Pointer

FIRST_REQUEST = 250.0  # ms for the first request after warm-up, whose purpose is to make it an ordinary one
DEADLINE = 30.0  # seconds for each request
NO_CLASSIFY = "this server has no Classify API; `classify` was called through Predict"


@dataclass(frozen=True)
class Report:
    """The result of a check. requests: how many golden ones, each sent over both APIs. first_request: ms."""

    server: str
    requests: int
    first_request: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for provenance.json."""
        return asdict(self)


def validate(
    version: Path,
    program: Sequence[str] | None = None,
    *,
    first_request: float = FIRST_REQUEST,
    patience: float = server_process.PATIENCE,
) -> Report:
    """Try a version's directory on a real server, as a copy, so that nothing changes it meanwhile.

    program: the server's command, default `server_process.command`. first_request: budget in ms. patience:
    seconds until it must be ready. Raises StoreError with the reason and the end of the server's log.
    """
    with server_process.scratch() as scratch:
        copy = scratch / wire.MODEL / "1"
        try:
            shutil.copytree(version, copy)
        except (OSError, shutil.Error) as error:
            raise StoreError(f"{version} can't be copied to try it: {error}") from None
        requests = golden.read(copy / wire.WARMUP)
        pointer = Pointer(str(copy.parent), 1)
        with (
            offline.compute(copy, scratch) as answers,
            server_process.start(pointer, scratch, program, patience) as server,
        ):
            expected = answers()
            try:
                first, notes = check(server.grpc_port, server.rest_port, requests, expected)
                if first > first_request:
                    raise StoreError(
                        f"the first request took {first:.0f} ms, at most {first_request:.0f} ms allowed"
                    )
            except StoreError as error:
                raise StoreError(
                    f"a server does not answer as the model does: {error}; {server.describe()}"
                ) from None
            return Report(server.program, len(requests), round(first, 1), notes)


def check(
    grpc_port: int, rest_port: int, requests: Sequence[Golden], expected: Sequence[Arrays]
) -> tuple[float, tuple[str, ...]]:
    """Send a server on loopback every request over both APIs.

    expected: the right answer to each request. Returns the ms that the first request took, and notes about
    the server. Raises StoreError with the first thing that is wrong.
    """
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    notes: list[str] = []
    try:
        with grpc.insecure_channel(f"{server_process.LOOPBACK}:{grpc_port}", options=OPTIONS) as channel:
            grpc.channel_ready_future(channel).result(DEADLINE)
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            started = time.perf_counter()
            stub.Predict(golden.as_predict(requests[0], wire.MODEL), timeout=DEADLINE)
            first = (time.perf_counter() - started) * 1000
            for request, right in zip(requests, expected, strict=True):
                _same("gRPC", request, right, _over_grpc(stub, request, notes))
                _same("REST", request, right, _over_rest(rest_port, request, notes))
            _edges(stub, requests[0], expected[0])
    except grpc.RpcError as error:
        raise StoreError(f"gRPC answered {error.code().name}: {error.details()}") from None
    except grpc.FutureTimeoutError:
        raise StoreError(f"its gRPC port accepted no call within {DEADLINE:g} s") from None
    except OSError as error:
        raise StoreError(f"the connection to its REST port failed ({error})") from None
    return first, tuple(dict.fromkeys(notes))


OPTIONS = (  # messages of any size, and never through a proxy
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)


def _same(api: str, request: Golden, right: Arrays, got: Arrays) -> None:
    if differs := golden.difference(right, got):
        raise StoreError(f"{request.name} over {api}: {differs}")


def _over_grpc(stub: Any, request: Golden, notes: list[str]) -> Arrays:
    import grpc

    if request.classify:
        try:
            return golden.of_classify(stub.Classify(request.request, timeout=DEADLINE))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            notes.append(NO_CLASSIFY)
    return golden.of_predict(stub.Predict(golden.as_predict(request, wire.MODEL), timeout=DEADLINE))


def _over_rest(port: int, request: Golden, notes: list[str]) -> Arrays:
    if request.classify:
        status, body = _post(port, "classify", golden.rest_body(request, classify=True))
        if status == 200:
            return golden.of_rest(body, classify=True)
        if status != 501 and b"Malformed request" not in body:
            raise StoreError(f"{request.name} over REST: {status} {body[:300].decode(errors='replace')}")
        notes.append(NO_CLASSIFY)
    status, body = _post(port, "predict", golden.rest_body(request, classify=False))
    if status != 200:
        raise StoreError(f"{request.name} over REST: {status} {body[:300].decode(errors='replace')}")
    return golden.of_rest(body, classify=False)


def _post(port: int, verb: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server_process.LOOPBACK, port, timeout=DEADLINE)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/v1/models/{wire.MODEL}:{verb}", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise StoreError(f"its REST port did not answer in HTTP ({error!r})") from None
    finally:
        connection.close()


# What each signature must refuse, and the words for it
WRONG: dict[str, tuple[str, Arrays]] = {
    wire.PIXELS: ("images of 27×27", {wire.IMAGES: np.zeros((2, 27, 27), np.uint8)}),
    wire.LINES: (
        "a line that is wider than its picture",
        {wire.LINE_IMAGES: np.zeros((2, 32, 40), np.uint8), wire.WIDTH: np.array([40, 41], np.int32)},
    ),
}


def _edges(stub: Any, request: Golden, right: Arrays) -> None:
    """Check that an empty batch gets an empty answer, and that wrong inputs are refused without harm."""
    import grpc

    for signature, (name, wrong) in WRONG.items():
        none = {alias: value[:0] for alias, value in wrong.items()}
        if signature == wire.PIXELS:
            none = {wire.IMAGES: np.zeros((0, 28, 28), np.uint8)}
        empty = golden.predict_request(wire.MODEL, signature, none)
        for alias, value in golden.of_predict(stub.Predict(empty, timeout=DEADLINE)).items():
            if len(value) != 0:
                raise StoreError(
                    f"an empty batch of {signature} was answered with {len(value)} rows of {alias}"
                )
        try:
            stub.Predict(golden.predict_request(wire.MODEL, signature, wrong), timeout=DEADLINE)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise StoreError(
                    f"{name} got {error.code().name} ({error.details()}), expected INVALID_ARGUMENT"
                ) from None
        else:
            raise StoreError(f"{name} got an answer, expected INVALID_ARGUMENT")
    again = golden.of_predict(stub.Predict(golden.as_predict(request, wire.MODEL), timeout=DEADLINE))
    _same("gRPC, after wrong inputs", request, right, again)
