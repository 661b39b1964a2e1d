"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from serving.model_server import about, classify, predict, statuses
from serving.model_server.manager import Manager
from serving.model_server.predict import Settings
from serving.model_server.statuses import Status, invalid

LOG = logging.getLogger("digits-model-server")
CODES = {code.value[0]: code for code in grpc.StatusCode}
MOST = 2**31 - 1

Answer = Callable[[Any, Any, float | None], None]  # request, empty response, seconds left. Raises Status


def handlers(manager: Manager, settings: Settings) -> list[Any]:
    """The services, as generic handlers."""
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_management_pb2,
        predict_pb2,
    )

    def on_predict(request: Any, response: Any, seconds: float | None) -> None:
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        with manager.model(request.model_spec) as version:
            predict.predict(version.loaded, request, response, settings, seconds)
            response.model_spec.version.value = version.number

    def on_classify(request: Any, response: Any, seconds: float | None) -> None:
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        with manager.model(request.model_spec) as version:
            classify.classify(version.loaded, request, response, settings.limits, seconds)
            response.model_spec.version.value = version.number

    def on_metadata(request: Any, response: Any, _: float | None) -> None:
        about.metadata(manager, request, response)

    def on_status(request: Any, response: Any, _: float | None) -> None:
        about.status(manager, request, response)

    def on_reload(request: Any, response: Any, _: float | None) -> None:
        about.reload(manager, request, response)

    prediction = {
        "Predict": _method(on_predict, predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        "Classify": _method(
            on_classify, classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse
        ),
        "GetModelMetadata": _method(
            on_metadata,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
    }
    model = {
        "GetModelStatus": _method(
            on_status, get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse
        ),
        "HandleReloadConfigRequest": _method(
            on_reload, model_management_pb2.ReloadConfigRequest, model_management_pb2.ReloadConfigResponse
        ),
    }
    return [
        grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", prediction),
        grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", model),
    ]


def _method(answer: Answer, request_type: Any, response_type: Any) -> Any:
    def call(request: Any, context: Any) -> Any:
        response = response_type()
        try:
            answer(request, response, context.time_remaining())
        except Status as error:
            context.abort(CODES[error.code], statuses.shortened(error.message))
        except Exception as error:
            LOG.exception("a request failed")
            context.abort(grpc.StatusCode.INTERNAL, statuses.shortened(f"{type(error).__name__}: {error}"))
        return response

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=request_type.FromString,
        response_serializer=response_type.SerializeToString,
    )


def server(services: list[Any], threads: int, most_bytes: int, arguments: str) -> Any:
    """A server without ports. arguments: `key=value,key=value`, whole numbers as such. Raises Status."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", most_bytes or MOST),
        ("grpc.max_send_message_length", MOST),
        ("grpc.so_reuseport", 0),  # else a second server takes the same port and half of the calls
    ]
    for pair in filter(None, arguments.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise invalid(f"--grpc_channel_arguments: '{pair}' is not of the form key=value")
        options.append((key, int(value) if value.lstrip("-").isdecimal() else value))
    made = grpc.server(ThreadPoolExecutor(threads, thread_name_prefix="grpc"), options=options)
    made.add_generic_rpc_handlers(services)
    return made


def listen(made: Any, address: str) -> None:
    """Open a port or a socket. Raises Status where it is taken."""
    try:
        bound = made.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise Status(
            statuses.UNAVAILABLE,
            f"can't listen on {address}: it is taken, or not this machine's; stop what uses it, or choose "
            "another port",
        )
