"""The SavedModel in a process, without a server: makes the requests, times plain calls, reads answers.

python -m bench.serving.offline MODEL FOLDER STORE

Its first line of output holds the expected answers; then it answers jobs as JSON lines. Requests hold the
real digits of the model's own warm-up records, so that the bench needs nothing but a model.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_management_pb2, predict_pb2, prediction_log_pb2

from bench.serving.cases import BATCHES
from digits import wire


def main() -> None:
    """Write the requests, then do jobs until stdin ends."""
    model, folder, store = (Path(argument) for argument in sys.argv[1:4])
    loaded = tf.saved_model.load(str(model))  # to be held: its signatures don't hold the variables
    signatures = loaded.signatures
    images, picture = _digits(model)
    _write(folder, images, picture)
    for version in (1, 2):
        (folder / f"reload-{version}.bin").write_bytes(_reload(store, version))
    pixels = signatures[wire.PIXELS]
    expected = {
        "pixels": int(pixels(images=images[:1])[wire.DIGIT][0]),
        "png": int(signatures[wire.ENCODED](image_bytes=tf.constant([picture]))[wire.DIGIT][0]),
    }
    print(json.dumps(expected), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = _time(pixels, images, job) if job["do"] == "time" else _read(job["answer"])
        except Exception as error:  # the parent tells the person; this process goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def _digits(model: Path) -> tuple[Any, bytes]:
    """Return uint8 [256, 28, 28] and a PNG, from the warm-up records."""
    images, picture = None, b""
    for record in tf.compat.v1.io.tf_record_iterator(str(model / wire.WARMUP)):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        if request.model_spec.signature_name == wire.PIXELS:
            pixels = tf.make_ndarray(request.inputs[wire.IMAGES])
            images = pixels if images is None or len(pixels) > len(images) else images
        elif request.model_spec.signature_name == wire.ENCODED:
            picture = picture or request.inputs[wire.IMAGE_BYTES].string_val[0]
    if images is None or not picture:
        raise SystemExit(f"{model / wire.WARMUP} holds no requests for {wire.PIXELS} and {wire.ENCODED}")
    return np.resize(images, (max(BATCHES), 28, 28)), picture


def _write(folder: Path, images: Any, picture: bytes) -> None:
    for batch in BATCHES:
        name = f"pixels-{batch}"
        rows = images[:batch]
        (folder / f"{name}.grpc").write_bytes(_request(wire.PIXELS, wire.IMAGES, rows))
        (folder / f"{name}.rest").write_text(json.dumps({"instances": rows.tolist()}))
    (folder / "png-1.grpc").write_bytes(
        _request(wire.ENCODED, wire.IMAGE_BYTES, np.array([picture], dtype=object))
    )
    encoded = base64.b64encode(picture).decode()
    body = {"signature_name": wire.ENCODED, "instances": [{"b64": encoded}]}
    (folder / "png-1.rest").write_text(json.dumps(body))


def _request(signature: str, alias: str, value: Any) -> bytes:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = wire.MODEL
    request.model_spec.signature_name = signature
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    serialized: bytes = request.SerializeToString()
    return serialized


def _reload(store: Path, version: int) -> bytes:
    """Return a HandleReloadConfigRequest for one version of the bench's own store."""
    request = model_management_pb2.ReloadConfigRequest()
    entry = request.config.model_config_list.config.add()
    entry.name, entry.model_platform = wire.MODEL, "tensorflow"
    entry.base_path = str(store / wire.MODEL)
    entry.model_version_policy.specific.versions.append(version)
    serialized: bytes = request.SerializeToString()
    return serialized


def _time(pixels: Any, images: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Call the model repeatedly, from NumPy to NumPy as a caller would."""
    rows = images[: job["batch"]]
    for _ in range(3):
        pixels(images=rows)
    calls, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < job["seconds"]:
        answer = pixels(images=tf.constant(rows))
        for tensor in answer.values():
            tensor.numpy()
        calls += 1
    return {"calls": calls, "seconds": elapsed, "images_per_s": calls * len(rows) / elapsed}


def _read(answer: str) -> dict[str, Any]:
    """Return the digits of a serialized PredictResponse, in base64."""
    response = predict_pb2.PredictResponse.FromString(base64.b64decode(answer))
    return {"digits": tf.make_ndarray(response.outputs[wire.DIGIT]).tolist()}


if __name__ == "__main__":
    main()
