"""The embedded server with a version of an exported model, in this process, with faults that a test needs."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from digits import wire
from digits_model_server.grpc import service
from digits_model_server.grpc.server import GrpcServer
from digits_model_server.inference.predict import Settings
from digits_model_server.limits import Limits
from digits_model_server.models.config import ModelSettings
from digits_model_server.models.manager import Manager, Pace
from digits_model_server.process import Readiness
from digits_model_server.rest.api import Reply, RestApi
from digits_model_server.rest.server import HttpServer, bind
from digits_model_server.runtime.saved_model import SavedModel
from digits_model_server.runtime.sessions import Threads
from digits_model_server.status import INTERNAL, UNAVAILABLE, Status
from tests._ports import free_port

HOST = "127.0.0.1"


class Model(SavedModel):
    def __init__(self, directory, faults):
        super().__init__(directory, ["serve"], Threads())
        self.faults = faults
        if "no confidence" in faults:
            for signature in self.signatures.values():
                signature.outputs.pop(wire.CONFIDENCE, None)

    async def run(self, signature, inputs, wanted, seconds=None):
        rows = next(iter(inputs.values()))
        if rows.shape[0] == 0 and "empty batch fails" in self.faults:
            raise Status(INTERNAL, "no rows")
        if wire.WIDTH in inputs and "takes any width" in self.faults:
            inputs = inputs | {wire.WIDTH: np.minimum(inputs[wire.WIDTH], rows.shape[2])}
        if wire.IMAGES in inputs and rows.shape[1:] != (28, 28):
            if "dies of a wrong shape" in self.faults:
                raise Status(UNAVAILABLE, "connection reset")
            if "takes any shape" in self.faults:
                inputs = {wire.IMAGES: np.zeros((len(rows), 28, 28), np.uint8)}
        answers = dict(zip(wanted, await super().run(signature, inputs, wanted, seconds), strict=True))
        for alias, values in answers.items():
            if "wrong digits" in self.faults and alias == wire.DIGIT:
                answers[alias] = values + 1
            if "off by 1e-4" in self.faults and values.dtype == np.float32:
                answers[alias] = values + np.float32(1e-4)
        return list(answers.values())


class Api(RestApi):
    def __init__(self, manager, settings, faults):
        super().__init__(manager, settings)
        self.faults = faults

    async def reply(self, verb, path, *request):
        if "no Classify" in self.faults and path.endswith(":classify"):
            return Reply(400, b'{"error": "Malformed request: POST"}')
        if "REST fails" in self.faults:
            return Reply(500, b'{"error": "out of order"}')
        if "REST answers nonsense" in self.faults:
            return Reply(200, b'{"outputs": []}')
        return await super().reply(verb, path, *request)


@contextlib.contextmanager
def listening(exported, *faults):
    """Serve an export while the block runs; yield the ports of gRPC and of REST."""
    limits, port, rest_port = Limits(), free_port(), free_port()
    settings = Settings(limits)
    with tempfile.TemporaryDirectory() as base:
        Path(base, "1").symlink_to(exported)
        manager = Manager(lambda directory: Model(directory, faults), Pace(poll=0, retries=0))
        manager.start([ModelSettings(wire.MODEL, base)])
        methods = service.methods(manager, settings)
        if "no Classify" in faults:
            methods.pop("/tensorflow.serving.PredictionService/Classify")
        servers = [
            GrpcServer(methods, [f"{HOST}:{port}"], 4, limits.request_bytes, ""),
            HttpServer(Api(manager, settings, faults), bind(HOST, rest_port), limits, 4, None, Readiness()),
        ]
        for server in servers:
            server.start()
        try:
            yield port, rest_port
        finally:
            for server in servers:
                server.stop(0.0)
            manager.stop()
