"""Requests for the model y = x / 2 + c, and servers that fail to start."""

import subprocess
import sys
import time

import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.model_server.runtime import tensors
from tests._ports import free_port
from tests.serving._server import ROOT, environment


def predict(channel, x, model="default", timeout=20.0):
    """Return y for one x, over gRPC."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1
    request.inputs["x"].float_val.append(x)
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
    return np.asarray(tensors.to_array(answer.outputs["y"])).ravel()[0]


def start(*flags, seconds=60):
    """Run a server that ends by itself."""
    command = [sys.executable, "-m", "serving.model_server", *flags]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=seconds, check=False
    )


def refused_start(*flags):
    """Return the standard output of a server that doesn't start."""
    done = start(f"--port={free_port()}", *flags)
    assert done.returncode == 255 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


def until(true, seconds=30.0):
    """Wait until a function returns true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
