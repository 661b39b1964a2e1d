"""The baseline over gRPC: parses a PredictRequest, builds a PredictResponse of the usual outputs, computes
nothing.

python -m bench.serving.apps.noop_grpc PORT aio|threads

As cheap as Python can: generated messages on protobuf's C runtime, no servicer class, typed lists as the
model server sends them, extended from ready-made Python lists.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]
import grpc.aio  # type: ignore[import-untyped,unused-ignore]

from bench.serving.apps.noop_rest import DIGIT, PROBABILITIES

SERVICE = "tensorflow.serving.PredictionService"
FLOAT, INT64 = 1, 9  # DataType
OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]
THREADS = 4  # more only wait for the interpreter's lock


@cache
def _values(n: int) -> tuple[list[float], list[int], list[float]]:
    return PROBABILITIES * n, [DIGIT] * n, [max(PROBABILITIES)] * n


def answer(request: Any, response: Any) -> Any:
    """Fill an empty PredictResponse for the n images of a PredictRequest with `images` [n, …]."""
    spec = request.model_spec
    if spec.name != "digits" or "images" not in request.inputs:
        raise ValueError("expected the model 'digits' and the input 'images'")
    n = request.inputs["images"].tensor_shape.dim[0].size
    probabilities, digits, confidences = _values(n)
    response.model_spec.name = spec.name
    response.model_spec.signature_name = spec.signature_name or "serving_default"
    response.model_spec.version.value = 1
    outputs = response.outputs
    tensor = outputs["probabilities"]
    tensor.dtype = FLOAT
    shape = tensor.tensor_shape.dim
    shape.add().size = n
    shape.add().size = 10
    tensor.float_val.extend(probabilities)
    tensor = outputs["digit"]
    tensor.dtype = INT64
    tensor.tensor_shape.dim.add().size = n
    tensor.int64_val.extend(digits)
    tensor = outputs["confidence"]
    tensor.dtype = FLOAT
    tensor.tensor_shape.dim.add().size = n
    tensor.float_val.extend(confidences)
    return response


def _messages() -> Any:
    """Return the generated module of PredictRequest, without TensorFlow itself.

    Its imports go through the package `tensorflow`, which takes seconds and half a gigabyte to load. An empty
    module of that name with the same path lets Python find the message modules below it, which need no more.
    """
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("tensorflow is not installed: run `make setup`")
    hollow = types.ModuleType("tensorflow")
    hollow.__path__ = list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = hollow
    from tensorflow_serving.apis import predict_pb2

    return predict_pb2


def _handler(messages: Any, function: Any) -> Any:
    method = grpc.unary_unary_rpc_method_handler(
        function,
        request_deserializer=messages.PredictRequest.FromString,
        response_serializer=messages.PredictResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Predict": method})


async def _aio(port: int) -> None:
    messages = _messages()
    empty = messages.PredictResponse

    async def predict(request: Any, _: Any) -> Any:
        return answer(request, empty())

    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((_handler(messages, predict),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _threads(port: int) -> None:
    messages = _messages()
    empty = messages.PredictResponse

    def predict(request: Any, _: Any) -> Any:
        return answer(request, empty())

    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    server.add_generic_rpc_handlers((_handler(messages, predict),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[2] == "aio":
        asyncio.run(_aio(int(sys.argv[1])))
    else:
        _threads(int(sys.argv[1]))
