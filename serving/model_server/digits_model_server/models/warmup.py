"""Replays the requests recorded with a version before it takes traffic; if one fails, so does the version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digits_model_server import tfrecord
from digits_model_server.event_loop import run_blocking
from digits_model_server.inference import examples, predict
from digits_model_server.inference.predict import Settings
from digits_model_server.runtime.saved_model import SavedModel
from digits_model_server.status import INVALID_ARGUMENT, UNIMPLEMENTED, Status

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST = 1000  # records
MOST_BYTES = 1 << 30  # of the file
SHOWN = 256  # bytes of a record in an error


def replay(model: SavedModel, directory: Path, settings: Settings, times: int) -> int:
    """Answer every recorded request `times` times; return their number, 0 without a file. Raises Status."""
    path = directory / FILE
    if not path.is_file():
        return 0
    if path.stat().st_size > MOST_BYTES:
        raise Status(INVALID_ARGUMENT, f"{path} is larger than {MOST_BYTES} bytes")
    count = 0
    for record in tfrecord.records(path.read_bytes()):
        count += 1
        if count > MOST:
            raise Status(INVALID_ARGUMENT, f"Number of warmup records exceeds the maximum ({MOST}) at {path}")
        log = _log(record, path)
        for _ in range(max(1, times)):
            run_blocking(_answer(model, log, settings))
    return count


def _log(record: bytes, path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        shown = record[:SHOWN].decode("utf-8", "replace")
        raise Status(INVALID_ARGUMENT, f"Failed to parse warmup record: {shown} from {path}") from None


async def _answer(model: SavedModel, log: Any, settings: Settings) -> None:
    from tensorflow_serving.apis import classification_pb2, inference_pb2, predict_pb2, regression_pb2

    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        await predict.predict(model, log.predict_log.request, predict_pb2.PredictResponse(), settings)
    elif kind == "classify_log":
        classes = classification_pb2.ClassificationResponse()
        await examples.classify(model, log.classify_log.request, classes, settings)
    elif kind == "regress_log":
        await examples.regress(model, log.regress_log.request, regression_pb2.RegressionResponse(), settings)
    elif kind == "multi_inference_log":
        results = inference_pb2.MultiInferenceResponse()
        await examples.infer(model, log.multi_inference_log.request, results, settings)
    elif kind:  # an empty record is passed over
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise Status(UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
