"""ClassificationRequest → ClassificationResponse: labels and scores for tf.Examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model_server.inference import examples, predict
from serving.model_server.inference.predict import Settings
from serving.model_server.runtime import dtypes, saved_model
from serving.model_server.runtime.saved_model import SavedModel
from serving.model_server.status import invalid

CLASSES, SCORES = "classes", "scores"


async def classify(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a ClassificationRequest into an empty response, all but its version. Raises Status."""
    name = request.model_spec.signature_name or saved_model.DEFAULT
    signature = examples.signature_of(model, name)
    wanted = outputs(model, name, settings)
    files = examples.serialized(request.input)
    given = {examples.INPUTS: files}
    found = await predict.answer(model, signature, given, wanted, settings.limits, seconds)
    fill(response.result, dict(zip(wanted, found, strict=True)), len(files))
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name


def outputs(model: SavedModel, name: str, settings: Settings) -> list[str]:
    """The outputs of a signature that Classify asks for: one or both of the two. Raises Status."""
    signature = model.signatures[name]
    examples.check_method(signature, settings, examples.CLASSIFY, "classification")
    if len(signature.inputs) == 1 and len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    examples.one_input(model, name, "classification")
    wanted = [alias for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not wanted:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or '
            f'"{SCORES}". Signature was: {model.raw[name]}'
        )
    return wanted


def fill(result: Any, answers: dict[str, NDArray[Any]], count: int) -> None:
    """Write class labels and scores, [count, classes] each, into a ClassificationResult. Raises Status."""
    classes, scores = answers.get(CLASSES), answers.get(SCORES)
    for name, array, kind in ((CLASSES, classes, dtypes.STRING), (SCORES, scores, dtypes.FLOAT)):
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
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {examples.shape(array)}")
    given = dtypes.tensor_dtype(array.dtype)
    if given != kind:
        raise invalid(f"Expected {name} Tensor of {dtypes.enum_name(kind)}. Got: {dtypes.enum_name(given)}")
    if len(array) != count:
        raise invalid(f"Expected {name} output batch size of {count}. Got: {len(array)}")
