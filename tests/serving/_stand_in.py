"""A minimal model server: Predict, Classify and REST over functions, in threads or as a process.

    python -m tests.serving._stand_in --port=P --rest_api_port=R --model_config_file=F

Its `faults` make it misbehave as a test needs. It loads TensorFlow.
"""

import base64
import contextlib
import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_service_pb2_grpc

from digits import wire
from serving.checks import golden
from tests._loopback import Listener


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with the functions of `models`, by name.

    Each takes a signature and arrays by alias and returns such arrays; ValueError stands for a bad input.
    """

    def __init__(self, models, faults=()):
        self.models, self.faults = models, set(faults)

    def answer(self, model, signature, inputs):
        outputs = dict(self.models[model](signature, inputs))
        if "wrong digits" in self.faults:
            outputs = {k: (v + 1 if k == wire.DIGIT else v) for k, v in outputs.items()}
        if "off by 1e-4" in self.faults:
            outputs = {k: (v + 1e-4 if v.dtype == np.float32 else v) for k, v in outputs.items()}
        if "no confidence" in self.faults:
            outputs.pop(wire.CONFIDENCE, None)
        return outputs

    def Predict(self, request, context):
        inputs = {alias: tf.make_ndarray(proto) for alias, proto in request.inputs.items()}
        shape = next(iter(inputs.values())).shape
        if shape[1:] not in ((), (28, 28)) and "dies of a wrong shape" in self.faults:
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        if shape[0] == 0 and "empty batch fails" in self.faults:
            context.abort(grpc.StatusCode.INTERNAL, "no rows")
        try:
            if shape[1:] not in ((), (28, 28)) and "takes any shape" in self.faults:
                inputs = {wire.IMAGES: np.zeros((shape[0], 28, 28), np.uint8)}
            outputs = self.answer(request.model_spec.name, request.model_spec.signature_name, inputs)
        except KeyError:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        for alias, value in outputs.items():
            response.outputs[alias].CopyFrom(tf.make_tensor_proto(value))
        return response

    def Classify(self, request, context):
        if "no Classify" in self.faults:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Classify is not offered")
        asked = golden.of_classify_request(request)
        outputs = self.answer(request.model_spec.name, asked.signature, asked.inputs)
        response = classification_pb2.ClassificationResponse()
        for labels, scores in zip(outputs[wire.CLASSES], outputs[wire.SCORES], strict=True):
            row = response.result.classifications.add()
            for label, score in zip(labels, scores, strict=True):
                row.classes.add(label=label, score=score)
        return response


def handler(service):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            if verb == "classify" and "no Classify" in service.faults:
                return self.reply(400, {"error": f"Malformed request: POST {self.path}"})
            if "REST fails" in service.faults:
                return self.reply(500, {"error": "out of order"})
            if "REST answers nonsense" in service.faults:
                return self.reply(200, {"outputs": []})
            if verb == "classify":
                examples = [self.example(row) for row in body["examples"]]
                out = service.answer(model, wire.CLASSIFY, {wire.EXAMPLES: np.array(examples, object)})
                rows = zip(out[wire.CLASSES], out[wire.SCORES], strict=True)
                pairs = [[[c.decode(), float(s)] for c, s in zip(*row, strict=True)] for row in rows]
                return self.reply(200, {"results": pairs})
            signature, rows = body["signature_name"], body["instances"]
            ((alias, (dtype, _)),) = wire.INPUTS[signature].items()
            values = [base64.b64decode(row["b64"]) for row in rows] if dtype == "string" else rows
            inputs = {alias: np.array(values, object if dtype == "string" else np.uint8)}
            out = service.answer(model, signature, inputs)
            lists = {
                k: [x.decode() for x in v.ravel()] if v.dtype == object else v.tolist()
                for k, v in out.items()
            }
            if wire.CLASSES in out:
                lists[wire.CLASSES] = np.array(lists[wire.CLASSES]).reshape(-1, 10).tolist()
            return self.reply(
                200, {"predictions": [{k: v[i] for k, v in lists.items()} for i in range(len(rows))]}
            )

        def example(self, row):
            values = [base64.b64decode(row[wire.EXAMPLE_KEY]["b64"])]
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            features = tf.train.Features(feature={wire.EXAMPLE_KEY: feature})
            return tf.train.Example(features=features).SerializeToString()

        def reply(self, status, tree):
            body = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            return

    return Handler


@contextlib.contextmanager
def listening(service, port=0, rest_port=0):
    """Open both ports while the block runs."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    listener = Listener(("127.0.0.1", rest_port), handler(service))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield bound, listener.server_port
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
        server.stop(None).wait()


def loaded(directory):
    """Return the function of a SavedModel."""
    model = tf.saved_model.load(directory)

    def answer(signature, inputs):
        try:
            outputs = model.signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        except (tf.errors.InvalidArgumentError, TypeError) as error:
            raise ValueError(str(error)) from None
        return {alias: value.numpy() for alias, value in outputs.items()}

    answer.keep = model
    return answer


def main(flags):
    from serving.store.pointer import parse

    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    with Path(given["model_config_file"]).open() as stream:
        pointer = parse(stream.read(), "models.config")
    models = {wire.MODEL: loaded(f"{pointer.base_path}/{pointer.stable}")}
    if pointer.canary:
        models[wire.CANARY] = loaded(f"{pointer.base_path}/{pointer.canary}")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    faults = given.get("faults", "").split(",")
    with listening(Service(models, faults), int(given["port"]), int(given["rest_api_port"])):
        stopped.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
