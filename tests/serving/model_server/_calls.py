"""Helpers for the tests of the server's calls: a server for a module, and gRPC clients."""

from contextlib import contextmanager

import grpc
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tests.serving._server import Server

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@contextmanager
def serving(base, models, *flags):
    """Run a server for models by name; `base` takes its config and its log."""
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}'
        for name, path in models.items()
    )
    (base / "models.config").write_text(f"model_config_list {{ {listed} }}")
    with Server(base / "log", f"--model_config_file={base / 'models.config'}", *flags) as server:
        yield server
        assert server.process.poll() is None, f"a test ended the server: {server.text()}"


@contextmanager
def stub(server):
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield PredictionServiceStub(channel)


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


def asked(kind, model, signature, sent, version=None):
    """Return a classification or regression request."""
    request = kind(input=sent)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    return request


def classification(*arguments, **more):
    return asked(classification_pb2.ClassificationRequest, *arguments, **more)


def regression(*arguments, **more):
    return asked(regression_pb2.RegressionRequest, *arguments, **more)


def tasks(*told, sent):
    """Return a MultiInferenceRequest of (model, signature, method) tasks."""
    request = inference_pb2.MultiInferenceRequest(input=sent)
    for model, signature, method in told:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request
