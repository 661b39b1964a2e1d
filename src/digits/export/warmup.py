"""The requests that a model server replays before a version takes traffic.

TensorFlow prepares and allocates at the first call of a signature and batch size; replaying does it
before a client waits, and a version whose signatures can't answer never becomes available.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from numpy.typing import NDArray
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2

from digits import wire

BATCHES = (1, 8, 32)  # a click, a page, a client that batches; servers refuse above 1,000 records
PICTURES = 8  # that a record holds at most: each is read by itself, and a rollout waits for all of them


def records(images: NDArray[np.uint8], lines: Sequence[NDArray[np.uint8]] = ()) -> list[bytes]:
    """Serialized PredictionLog of every signature, one for each batch size.

    images: uint8 [≥ 1, 28, 28]. lines: uint8 [32, w] each; none: the model has no signature for them.
    """
    logs: list[Any] = []
    for batch in BATCHES:
        chosen = np.resize(images, (batch, 28, 28))
        logs.append(_predict(wire.PIXELS, {wire.IMAGES: chosen}))
        if batch <= PICTURES:
            files = [png(image) for image in chosen]
            logs.append(_predict(wire.ENCODED, {wire.IMAGE_BYTES: np.asarray(files, dtype=object)}))
            logs.append(_classify(files))
        if not lines:
            continue
        some = [lines[place % len(lines)] for place in range(batch)]
        filled, width = joined(some)
        logs.append(_predict(wire.LINES, {wire.LINE_IMAGES: filled, wire.WIDTH: width}))
        if batch <= PICTURES:
            files = [encoded(line) for line in some]
            logs.append(_predict(wire.LINES_ENCODED, {wire.IMAGE_BYTES: np.asarray(files, dtype=object)}))
    return [log.SerializeToString(deterministic=True) for log in logs]


def png(image: NDArray[np.uint8]) -> bytes:
    """A 28×28 digit as a photo client would send it: black on white, large, off-centre, 280×310 pixels."""
    large = np.kron(255 - image, np.ones((10, 10), np.uint8))
    framed = np.pad(large, ((0, 0), (0, 30)), constant_values=255)
    return encoded(framed)


def joined(lines: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Lines [32, w], filled up at the right to one width, uint8 [n, 32, w]; their own widths, int32 [n]."""
    width = np.asarray([line.shape[1] for line in lines], np.int32)
    widest = max(width, default=0)
    filled = [np.pad(line, ((0, 0), (0, widest - line.shape[1]))) for line in lines]
    return np.asarray(filled, np.uint8).reshape(len(lines), wire.HEIGHT, widest), width


def encoded(levels: NDArray[np.uint8]) -> bytes:
    """Grey levels as a PNG."""
    file: bytes = tf.io.encode_png(levels[:, :, np.newaxis]).numpy()
    return file


def example(file: bytes) -> Any:
    """A tf.Example as the `classify` signature takes it."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    return tf.train.Example(features=tf.train.Features(feature={wire.EXAMPLE_KEY: feature}))


def _predict(signature: str, inputs: Mapping[str, NDArray[Any]]) -> Message:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = wire.MODEL
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def _classify(files: list[bytes]) -> Message:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = wire.MODEL
    request.model_spec.signature_name = wire.CLASSIFY
    request.input.example_list.examples.extend(example(file) for file in files)
    return prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog(request=request))
