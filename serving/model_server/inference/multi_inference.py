"""MultiInferenceRequest → MultiInferenceResponse: several signatures of a model for the same tf.Examples,
in one run of the graph."""

from __future__ import annotations

from typing import Any

from serving.model_server.inference import classify, examples, predict, regress
from serving.model_server.inference.predict import Settings
from serving.model_server.runtime import saved_model
from serving.model_server.runtime.saved_model import SavedModel, Signature, Tensor
from serving.model_server.status import UNIMPLEMENTED, Status, invalid


def spec_of(request: Any) -> Any:
    """The ModelSpec that chooses the model and its version: the first task's."""
    from tensorflow_serving.apis import model_pb2

    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


async def infer(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a MultiInferenceRequest into an empty response, all but its versions. Raises Status."""
    tasks = [(task, *_signature(model, task, settings)) for task in _checked(model, request)]
    feeds: dict[str, Tensor] = {}
    fetches: dict[str, Tensor] = {}
    for _, signature, wanted in tasks:
        feeds |= {tensor.name: tensor for tensor in signature.inputs.values()}
        fetches |= {signature.outputs[alias].name: signature.outputs[alias] for alias in wanted}
    files = examples.serialized(request.input)
    union = Signature(dict(sorted(feeds.items())), dict(sorted(fetches.items())), {}, "")
    given = dict.fromkeys(union.inputs, files)
    found = await predict.answer(model, union, given, list(union.outputs), settings.limits, seconds)
    by_name = dict(zip(union.outputs, found, strict=True))
    for task, signature, wanted in tasks:
        result = response.results.add()
        arrays = {alias: by_name[signature.outputs[alias].name] for alias in wanted}
        if task.method_name == examples.CLASSIFY:
            classify.fill(result.classification_result, arrays, len(files))
        else:
            regress.fill(result.regression_result, arrays[regress.OUTPUTS], len(files))
        result.model_spec.name = task.model_spec.name
        result.model_spec.signature_name = task.model_spec.signature_name or saved_model.DEFAULT


def _checked(model: SavedModel, request: Any) -> Any:
    """The tasks, each looked at when its turn comes: the first that is wrong is the one that is told."""
    seen: set[str] = set()
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or saved_model.DEFAULT
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in model.signatures:
            raise invalid(f"Requested signature not found in model graph: {name}")
        yield task


def _signature(model: SavedModel, task: Any, settings: Settings) -> tuple[Signature, list[str]]:
    """The signature of a task and the outputs that it needs. Raises Status."""
    name = task.model_spec.signature_name or saved_model.DEFAULT
    if task.method_name == examples.CLASSIFY:
        return model.signatures[name], classify.outputs(model, name, settings)
    if task.method_name == examples.REGRESS:
        return model.signatures[name], regress.outputs(model, name, settings)
    raise Status(UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
