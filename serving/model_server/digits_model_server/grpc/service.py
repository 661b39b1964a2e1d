"""The methods of PredictionService and ModelService, by their gRPC paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from digits_model_server.event_loop import Steps
from digits_model_server.inference import examples, predict
from digits_model_server.inference.predict import Settings, Work
from digits_model_server.models import service
from digits_model_server.models.manager import Manager
from digits_model_server.status import UNIMPLEMENTED, Status, invalid

Answer = Callable[
    [Any, Any, float | None], Steps[None]
]  # request, empty response, seconds left. Raises Status


@dataclass(frozen=True)
class Method:
    """A gRPC method: the coroutine that answers it, and the classes of its messages."""

    answer: Answer
    request: Any
    response: Any


def methods(manager: Manager, settings: Settings, reload: bool = True) -> dict[str, Method]:
    """Return every method by its path, `/package.Service/Method`.

    reload: whether clients may replace the models.
    """
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        model_management_pb2,
        predict_pb2,
        regression_pb2,
    )

    def on(work: Work) -> Answer:
        async def answer(request: Any, response: Any, seconds: float | None) -> None:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            with manager.model(request.model_spec) as version:
                await work(version.loaded, request, response, settings, seconds)
                response.model_spec.version.value = version.number

        return answer

    async def on_multi_inference(request: Any, response: Any, seconds: float | None) -> None:
        with manager.model(examples.spec_of(request)) as version:
            await examples.infer(version.loaded, request, response, settings, seconds)
            for result in response.results:
                result.model_spec.version.value = version.number

    async def on_metadata(request: Any, response: Any, _: float | None) -> None:
        service.metadata(manager, request, response)

    async def on_status(request: Any, response: Any, _: float | None) -> None:
        service.model_status(manager, request, response)

    async def on_reload(request: Any, response: Any, _: float | None) -> None:
        if not reload:
            raise Status(
                UNIMPLEMENTED, "HandleReloadConfigRequest is off: --enable_reload_config_request=false"
            )
        service.reload(manager, request, response)

    prediction = "/tensorflow.serving.PredictionService/"
    model = "/tensorflow.serving.ModelService/"
    return {
        prediction + "Predict": Method(
            on(predict.predict), predict_pb2.PredictRequest, predict_pb2.PredictResponse
        ),
        prediction + "Classify": Method(
            on(examples.classify),
            classification_pb2.ClassificationRequest,
            classification_pb2.ClassificationResponse,
        ),
        prediction + "Regress": Method(
            on(examples.regress), regression_pb2.RegressionRequest, regression_pb2.RegressionResponse
        ),
        prediction + "MultiInference": Method(
            on_multi_inference, inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse
        ),
        prediction + "GetModelMetadata": Method(
            on_metadata,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
        model + "GetModelStatus": Method(
            on_status, get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse
        ),
        model + "HandleReloadConfigRequest": Method(
            on_reload, model_management_pb2.ReloadConfigRequest, model_management_pb2.ReloadConfigResponse
        ),
    }
