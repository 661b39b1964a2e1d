"""Answers Classify, Regress and MultiInference requests: serialized tf.Examples, on one loaded version."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server import metrics
from digits_model_server.inference import predict
from digits_model_server.inference.predict import Settings
from digits_model_server.runtime import saved_model, tensors
from digits_model_server.runtime.saved_model import SavedModel, Signature, Tensor
from digits_model_server.status import UNIMPLEMENTED, Status, invalid

INPUTS = "inputs"  # the alias of their one input
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def serialize_examples(sent: Any) -> NDArray[Any]:
    """Return the serialized Examples of an Input, each preceded by the shared context. Raises Status."""
    kind = sent.WhichOneof("kind")
    if kind == "example_list":
        found = [each.SerializeToString() for each in sent.example_list.examples]
    elif kind == "example_list_with_context":
        listed = sent.example_list_with_context
        context = listed.context.SerializeToString()
        found = [context + each.SerializeToString() for each in listed.examples]
    else:
        found = []
    if not found:
        raise invalid("Input is empty.")
    return saved_model.strings(found)


def find_signature(model: SavedModel, name: str) -> Signature:
    """Return the signature that a Classify or Regress call names. Raises Status."""
    found = model.signatures.get(name)
    if found is None:
        raise invalid(f"No signature was found with the name: {name}")
    metrics.record_signature(name)
    return found


def check_method(signature: Signature, settings: Settings, wanted: str, word: str) -> None:
    """Refuse, if the flag is set, a signature whose method_name is for another call. Raises Status.

    The flag is --enable_signature_method_name_check.
    """
    if settings.method_names and signature.method != wanted:
        raise invalid(f"Expected {word} signature method_name to be {wanted}. Was: {signature.method}")


def only_input(model: SavedModel, name: str, word: str) -> Tensor:
    """Return the only input of a signature. Raises Status."""
    signature = model.signatures[name]
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No {word} inputs found in SignatureDef: {model.raw[name]}")
    return signature.inputs[INPUTS]


def shape(array: NDArray[Any]) -> str:
    """Return a shape as error texts show it."""
    return "[" + ",".join(map(str, array.shape)) + "]"


CLASSES, SCORES = "classes", "scores"


async def classify(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a ClassificationRequest: fill an empty response, all but its version. Raises Status."""
    name = request.model_spec.signature_name or saved_model.DEFAULT
    signature = find_signature(model, name)
    wanted = classify_outputs(model, name, settings)
    files = serialize_examples(request.input)
    given = {INPUTS: files}
    found = await predict.answer(model, signature, given, wanted, settings.limits, seconds)
    fill_classifications(response.result, dict(zip(wanted, found, strict=True)), len(files))
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name


def classify_outputs(model: SavedModel, name: str, settings: Settings) -> list[str]:
    """Return the outputs that Classify fetches from a signature, one or both of the two. Raises Status."""
    signature = model.signatures[name]
    check_method(signature, settings, CLASSIFY, "classification")
    if len(signature.inputs) == 1 and len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    only_input(model, name, "classification")
    wanted = [alias for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not wanted:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or '
            f'"{SCORES}". Signature was: {model.raw[name]}'
        )
    return wanted


def fill_classifications(result: Any, answers: dict[str, NDArray[Any]], count: int) -> None:
    """Write class labels and scores, [count, classes] each, into a ClassificationResult. Raises Status."""
    classes, scores = answers.get(CLASSES), answers.get(SCORES)
    for name, array, kind in ((CLASSES, classes, tensors.STRING), (SCORES, scores, tensors.FLOAT)):
        if array is not None:
            _check(name, array, kind, count)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. "
            f"{scores.shape[1]}"
        )
    known = classes if classes is not None else scores
    assert known is not None
    for row in range(count):
        listed = result.classifications.add()
        for column in range(known.shape[1]):
            label = "" if classes is None else classes[row, column].decode("utf-8", "replace")
            score = 0.0 if scores is None else float(np.float32(scores[row, column]))
            listed.classes.add(label=label, score=score)


def _check(name: str, array: NDArray[Any], kind: int, count: int) -> None:
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {shape(array)}")
    given = tensors.tensor_dtype(array.dtype)
    if given != kind:
        raise invalid(f"Expected {name} Tensor of {tensors.enum_name(kind)}. Got: {tensors.enum_name(given)}")
    if len(array) != count:
        raise invalid(f"Expected {name} output batch size of {count}. Got: {len(array)}")


OUTPUTS = "outputs"


async def regress(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a RegressionRequest: fill an empty response, all but its version. Raises Status."""
    name = request.model_spec.signature_name or saved_model.DEFAULT
    signature = find_signature(model, name)
    wanted = regress_outputs(model, name, settings)
    files = serialize_examples(request.input)
    given = {INPUTS: files}
    found = await predict.answer(model, signature, given, wanted, settings.limits, seconds)
    fill_regressions(response.result, found[0], len(files))
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name


def regress_outputs(model: SavedModel, name: str, settings: Settings) -> list[str]:
    """Return the output that Regress fetches from a signature. Raises Status."""
    signature = model.signatures[name]
    check_method(signature, settings, REGRESS, "regression")
    if len(signature.inputs) == 1 and len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    only_input(model, name, "regression")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {model.raw[name]}")
    return [OUTPUTS]


def fill_regressions(result: Any, array: NDArray[Any], count: int) -> None:
    """Write float [count] or [count, 1] into a RegressionResult. Raises Status."""
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{shape(array)}"
        )
    if len(array) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    kind = tensors.tensor_dtype(array.dtype)
    if kind != tensors.FLOAT:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {tensors.enum_name(kind)}")
    for value in array.ravel().tolist():
        result.regressions.add(value=value)


def spec_of(request: Any) -> Any:
    """Return the ModelSpec that chooses the model and its version: the first task's."""
    from tensorflow_serving.apis import model_pb2

    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


async def infer(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a MultiInferenceRequest: fill an empty response, all but its versions. Raises Status."""
    tasks = [(task, *_signature(model, task, settings)) for task in _checked(model, request)]
    feeds: dict[str, Tensor] = {}
    fetches: dict[str, Tensor] = {}
    for _, signature, wanted in tasks:
        feeds |= {tensor.name: tensor for tensor in signature.inputs.values()}
        fetches |= {signature.outputs[alias].name: signature.outputs[alias] for alias in wanted}
    files = serialize_examples(request.input)
    union = Signature(dict(sorted(feeds.items())), dict(sorted(fetches.items())), {}, "")
    given = dict.fromkeys(union.inputs, files)
    found = await predict.answer(model, union, given, list(union.outputs), settings.limits, seconds)
    by_name = dict(zip(union.outputs, found, strict=True))
    for task, signature, wanted in tasks:
        result = response.results.add()
        arrays = {alias: by_name[signature.outputs[alias].name] for alias in wanted}
        if task.method_name == CLASSIFY:
            fill_classifications(result.classification_result, arrays, len(files))
        else:
            fill_regressions(result.regression_result, arrays[OUTPUTS], len(files))
        result.model_spec.name = task.model_spec.name
        result.model_spec.signature_name = task.model_spec.signature_name or saved_model.DEFAULT


def _checked(model: SavedModel, request: Any) -> Any:
    """Yield the tasks, each checked when its turn comes, so that the first wrong one is reported."""
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
    """Return the signature of a task and the outputs that it needs. Raises Status."""
    name = task.model_spec.signature_name or saved_model.DEFAULT
    if task.method_name == CLASSIFY:
        return model.signatures[name], classify_outputs(model, name, settings)
    if task.method_name == REGRESS:
        return model.signatures[name], regress_outputs(model, name, settings)
    raise Status(UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
