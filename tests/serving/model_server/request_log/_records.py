"""Reads what a request log has written."""

from tensorflow_serving.apis import prediction_log_pb2

from digits_model_server import tfrecord
from digits_model_server.request_log import files as log_files


def kept(prefix):
    """The records of each file, oldest first."""
    return [list(tfrecord.records(path.read_bytes())) for path in log_files.files(prefix)]


def records(prefix):
    return [prediction_log_pb2.PredictionLog.FromString(each) for file in kept(prefix) for each in file]


def sent(prefix, alias="x"):
    """The first string of each request, under an alias."""
    return [each.predict_log.request.inputs[alias].string_val[0] for each in records(prefix)]
