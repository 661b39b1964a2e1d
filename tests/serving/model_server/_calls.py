"""Servers of several models, servers that fail to start, and the requests of gRPC clients."""

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, predict_pb2, regression_pb2
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from digits_model_server.models import config
from tests._ports import free_port
from tests._project import ROOT
from tests.serving._server import Server, environment

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
BAD = "INVALID_ARGUMENT"


def settings(models, *, every=False, **more):
    """The text of a config file: models by name, with all or the latest of their versions."""
    policy = "model_version_policy { all {} }" if every else ""
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" '
        f"{policy} {more.get(name, '')} }}"
        for name, path in models.items()
    )
    return f"model_config_list {{ {listed} }}"


def only(base, version):
    """The text of a config file: one version of the model `half`."""
    return settings({"half": base}, half=f"model_version_policy {{ specific {{ versions: {version} }} }}")


@contextmanager
def serving(base, models, *flags, every=False, **more):
    """Run a server for models by name; `base` takes its config and its log."""
    (base / "models.config").write_text(settings(models, every=every, **more))
    with Server(base / "log", f"--model_config_file={base / 'models.config'}", *flags) as server:
        yield server
        assert server.process.poll() is None, f"a test ended the server: {server.text()}"


def start(*flags):
    """Run a server that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "digits_model_server", f"--port={free_port()}", *flags],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def refused_start(*flags):
    """Return the standard output of a server that doesn't start."""
    done = start(*flags)
    assert done.returncode == 255 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


def refuses(port, host="127.0.0.1"):
    """Whether nothing listens on a port."""
    try:
        socket.create_connection((host, port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def until(true, seconds=30.0):
    """Wait until a function returns true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@contextmanager
def meanwhile(work, threads):
    """Call a function again and again in threads until the block ends, which raises what it has raised."""
    stop = threading.Event()

    def repeat():
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(repeat) for _ in range(threads)]
        try:
            yield
        finally:
            stop.set()
            for each in working:
                each.result()


@contextmanager
def connected(server):
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield channel


@contextmanager
def stub(server):
    with connected(server) as channel:
        yield PredictionServiceStub(channel)


def refused(call, *arguments, timeout=20.0, **more):
    """Return the code and the text that a call is refused with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=timeout, **more)
    return caught.value.code().name, caught.value.details()


def reload(channel, text="", timeout=20.0, **more):
    """Send the text of a config file to a server; return the ReloadConfigResponse."""
    request = ReloadConfigRequest(config=config.parse(text), **more)
    return ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=timeout)


def named(request, model, signature="", version=None, label=None):
    """Fill in a request's ModelSpec."""
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    return request


def prediction(model, inputs, signature="", outputs=(), **more):
    """Return a PredictRequest. inputs: arrays or TensorProtos by alias."""
    request = named(predict_pb2.PredictRequest(output_filter=outputs), model, signature, **more)
    for alias, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[alias].CopyFrom(proto)
    return request


def lists(answer):
    """Return the outputs of a prediction by alias, as lists."""
    return {alias: tf.make_ndarray(value).tolist() for alias, value in answer.outputs.items()}


def predict(client, *arguments, timeout=20.0, **more):
    return lists(client.Predict(prediction(*arguments, **more), timeout=timeout))


def ask_half(channel, x, timeout=20.0):
    """Return the y of one x of a model y = x / 2 + c, served as `default`."""
    return predict(PredictionServiceStub(channel), "default", {"x": [x]}, timeout=timeout)["y"][0]


def example(**features):
    proto = tf.train.Example()
    for name, value in features.items():
        proto.features.feature[name].float_list.value.append(value)
    return proto


def examples(*values, context=None):
    """Return an Input of Examples with the feature x."""
    sent = input_pb2.Input()
    into = sent.example_list
    if context is not None:
        into = sent.example_list_with_context
        into.context.CopyFrom(example(**context))
    into.examples.extend(example() if value is None else example(x=value) for value in values)
    return sent


def classification(model, signature, sent, **more):
    return named(classification_pb2.ClassificationRequest(input=sent), model, signature, **more)


def regression(model, signature, sent, **more):
    return named(regression_pb2.RegressionRequest(input=sent), model, signature, **more)


def tasks(*told, sent):
    """Return a MultiInferenceRequest of (model, signature, method) tasks."""
    request = inference_pb2.MultiInferenceRequest(input=sent)
    for model, signature, method in told:
        named(request.tasks.add(method_name=method), model, signature)
    return request
