"""Sends two models on one server the same requests and collects their answers. The canary uses it.

The requests are golden ones, from the version's own warm-up file, and logged real ones. The file is read here
without TensorFlow, which would delay the flow by seconds. Its Classify requests and its pictures of lines are
left out: publishing has tried them on a server, and they run the same graphs as `encoded` and `lines`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digits import wire
from digits.runtime.errors import DataError, StoreError
from flows.rollout.analysis import Answer, Responses, Rules
from flows.rollout.replicas import Server

if TYPE_CHECKING:
    from digits_client import DigitClient, LinePrediction

# Images [n, 28, 28], or PNG and JPEG files, or lines of writing [32, w]
Request = NDArray[np.uint8] | tuple[bytes, ...] | list[NDArray[np.uint8]]
Samples = Sequence[NDArray[np.uint8] | Path]  # of logged requests: images [n, 28, 28], picture files

DEADLINE = 10.0  # seconds for one request, as digits_client's own
UNTIMED = 10  # requests of a kind to each model before the timed ones: a server's first answers are slower
GIVE_UP = 3  # failed requests of one kind after which no more of it are sent: they may cost DEADLINE each


@dataclass(frozen=True)
class Kind:
    """Requests that are judged together. name: for messages, such as "golden images"."""

    name: str
    requests: tuple[Request, ...]
    logged: bool = False
    lines: bool = False


def from_warmup(version: Path, *, lines: bool = False) -> tuple[Kind, ...]:
    """A version's golden requests: the largest batch of each signature, and its images one by one.

    version: its folder. lines: with those for lines of writing, each by itself and then together. Raises
    StoreError when the warm-up file can't be read or has no images.
    """
    batches: dict[str, Request] = {}
    written: list[NDArray[np.uint8]] = []
    for request in _recorded(version / wire.WARMUP):
        signature = request.model_spec.signature_name or wire.PIXELS
        if signature == wire.LINES:
            written = max(written, _lines(request), key=len)
        if signature not in (wire.PIXELS, wire.ENCODED):
            continue
        batch = _images(request) if signature == wire.PIXELS else tuple(_tensor(request).string_val)
        if len(batch) > len(batches.get(signature, ())):
            batches[signature] = batch
    if not batches:
        raise StoreError(f"{version / wire.WARMUP} has no Predict request to send: publish the version again")
    names = {wire.PIXELS: "golden images", wire.ENCODED: "golden pictures"}
    single = [Kind(names[key], tuple(_singly(batch))) for key, batch in sorted(batches.items())]
    if lines and written:
        single.append(Kind("golden lines", (*_singly(written), written), lines=True))
    return (Kind("golden batches", tuple(batches.values())), *single)


def from_log(samples: Samples) -> tuple[Kind, ...]:
    """Requests from the log, one image each. Raises DataError when a file can't be read."""
    requests: list[Request] = []
    for sample in samples:
        if isinstance(sample, Path):
            try:
                requests.append((sample.read_bytes(),))
            except OSError as error:
                raise DataError(f"the logged picture {sample} can't be read ({error.strerror})") from None
        else:
            requests += _singly(sample)
    return (Kind("logged requests", tuple(requests), logged=True),) if requests else ()


def ask(
    server: Server, stable: str, candidate: str, kinds: Sequence[Kind], patience: float
) -> tuple[Responses, ...]:
    """Send two models of one server the same requests in turn, so that both meet the same noise; no retries.

    patience: seconds after which no further request of a kind is sent, if there were enough. A request that
    both refuse as invalid is left out: a logged one may be anything.
    """
    with server.client(stable, DEADLINE) as first, server.client(candidate, DEADLINE) as second:
        for client in (first, second):
            client.health()  # connects, which must not count as latency
        return tuple(_ask_both(first, second, kind, patience) for kind in kinds)


def answer(client: DigitClient, request: Request) -> tuple[Answer, bool]:
    """Send one request; return its answer and whether it was refused as invalid."""
    import digits_client

    started = time.perf_counter()
    try:
        if isinstance(request, list):
            return _of_lines(client.predict_lines(request), started), False
        read = client.predict_bytes(request) if isinstance(request, tuple) else client.predict(request)
    except digits_client.ServingError as error:
        seconds, invalid = time.perf_counter() - started, isinstance(error, digits_client.BadRequest)
        return Answer(np.zeros(0, np.int64), np.zeros((0, 10)), seconds, str(error)), invalid
    seconds = time.perf_counter() - started
    digits = np.asarray([each.digit for each in read], np.int64)
    return Answer(digits, np.asarray([each.probabilities for each in read]).reshape(-1, 10), seconds), False


def _of_lines(read: Iterable[LinePrediction], started: float) -> Answer:
    seconds, lines = time.perf_counter() - started, list(read)
    columns = [np.asarray(line.columns).reshape(-1, wire.COLUMN) for line in lines]
    return Answer(np.asarray([line.written for line in lines]), np.concatenate(columns), seconds)


def _ask_both(first: DigitClient, second: DigitClient, kind: Kind, patience: float) -> Responses:
    end = time.monotonic() + patience
    stable: list[Answer] = []
    candidate: list[Answer] = []
    for request in kind.requests[:UNTIMED]:
        if answer(first, request)[0].error or answer(second, request)[0].error:
            break  # the timed round will show it again
        if time.monotonic() > end - patience / 2:
            break
    for turn, request in enumerate(kind.requests):
        if turn % 2:  # the second to be sent a request may find its data in the processor's cache
            from_candidate, invalid = answer(second, request)
            from_stable, invalid_too = answer(first, request)
        else:
            from_stable, invalid_too = answer(first, request)
            from_candidate, invalid = answer(second, request)
        if invalid and invalid_too:
            continue
        stable.append(from_stable)
        candidate.append(from_candidate)
        failed = max(sum(bool(each.error) for each in answers) for answers in (stable, candidate))
        enough = len(stable) >= Rules.timed  # with fewer, latency would not be judged
        if failed >= GIVE_UP or (enough and time.monotonic() > end):
            break
    return Responses(kind.name, tuple(stable), tuple(candidate), kind.logged, kind.lines)


def _singly(batch: Request) -> Iterator[Request]:
    for i in range(len(batch)):
        yield batch[i : i + 1]


def _recorded(path: Path) -> Iterator[Any]:
    """The Predict requests of a warm-up file: TFRecord of PredictionLog. Raises StoreError."""
    from google.protobuf.message import DecodeError

    from digits_client import codec_grpc
    from digits_model_server import status, tfrecord

    try:
        for record in tfrecord.records(path.read_bytes()):
            predict = _log().FromString(record).predict_log.request
            if predict:
                yield codec_grpc.PredictRequest.FromString(predict)
    except OSError as error:
        raise StoreError(f"{path} can't be read ({error.strerror}): publish the version again") from None
    except (DecodeError, status.Status) as error:
        raise StoreError(f"{path} is damaged ({error}): publish the version again") from None


@cache
def _log() -> Any:
    """The part of the message PredictionLog that is needed; its inner request is read as bytes."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="flows/log.proto", package="flows", syntax="proto3")
    inner, outer = file.message_type.add(name="PredictLog"), file.message_type.add(name="PredictionLog")
    optional = kinds.LABEL_OPTIONAL
    inner.field.add(name="request", number=1, type=kinds.TYPE_BYTES, label=optional)
    outer.field.add(
        name="predict_log", number=6, type=kinds.TYPE_MESSAGE, type_name=".flows.PredictLog", label=optional
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("flows.PredictionLog"))


def _tensor(request: Any) -> Any:
    """The only input of a request."""
    (tensor,) = request.inputs.values()
    return tensor


def _lines(request: Any) -> list[NDArray[np.uint8]]:
    from digits_client import codec_grpc

    tensor, width = request.inputs[wire.LINE_IMAGES], request.inputs[wire.WIDTH]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    try:
        widths = codec_grpc.read(width, codec_grpc.INT32, shape[:1])
        images = np.frombuffer(tensor.tensor_content, np.uint8).reshape(shape)
    except ValueError as error:
        raise StoreError(f"a golden request holds no lines ({error}): publish the version again") from None
    return [image[:, : int(own)] for image, own in zip(images, widths, strict=True)]


def _images(request: Any) -> NDArray[np.uint8]:
    content = _tensor(request).tensor_content
    if not content or len(content) % (28 * 28):
        raise StoreError(f"a golden request holds {len(content)} bytes of pixels: publish the version again")
    return np.frombuffer(content, np.uint8).reshape(-1, 28, 28)
