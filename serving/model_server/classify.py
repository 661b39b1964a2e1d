"""ClassificationRequest → ClassificationResponse: tf.Examples, serialized into the one string input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.model_server import dtypes, predict, savedmodel
from serving.model_server.limits import Limits
from serving.model_server.savedmodel import SavedModel, Signature
from serving.model_server.statuses import invalid

INPUT, CLASSES, SCORES = "inputs", "classes", "scores"


async def classify(
    model: SavedModel, request: Any, response: Any, limits: Limits, seconds: float | None = None
) -> None:
    """Answer a ClassificationRequest into an empty response, all but its version. Raises Status."""
    name = request.model_spec.signature_name or savedmodel.DEFAULT
    signature = model.signatures.get(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name}")
    wanted = _outputs(signature)
    files = examples(request.input)
    found = await predict.answer(model, signature, {INPUT: files}, wanted, limits, seconds)
    answers = dict(zip(wanted, found, strict=True))
    fill(response.result, answers, len(files))
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name


def examples(sent: Any) -> NDArray[Any]:
    """The serialized Examples of an Input; the context goes before each. Raises Status."""
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
    return savedmodel.strings(found)


def _outputs(signature: Signature) -> list[str]:
    if list(signature.inputs) != [INPUT]:
        raise invalid("Expected one input Tensor.")
    if not signature.outputs or len(signature.outputs) > 2:
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if set(signature.outputs) - {CLASSES, SCORES}:
        raise invalid(f"Expected classification signature outputs to contain {CLASSES} or {SCORES}")
    return list(signature.outputs)


def fill(result: Any, answers: dict[str, NDArray[Any]], count: int) -> None:
    """Write class labels and scores, [count, classes] each, into a ClassificationResult. Raises Status."""
    for name, kind in ((CLASSES, dtypes.STRING), (SCORES, dtypes.FLOAT)):
        array = answers.get(name)
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_{name}] but got {list(array.shape)}")
        if dtypes.tensor_dtype(array.dtype) != kind:
            raise invalid(f"Expected {name} Tensor of {dtypes.name(kind)}. Got: {array.dtype}")
        if len(array) != count:
            raise invalid(f"Expected {name} output batch size of {count}. Got: {len(array)}")
    classes, scores = answers.get(CLASSES), answers.get(SCORES)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid("Tensors class and score should match in shape")
    known = classes if classes is not None else scores
    assert known is not None
    for row in range(count):
        listed = result.classifications.add()
        for column in range(known.shape[1]):
            label = "" if classes is None else classes[row, column].decode("utf-8", "replace")
            score = 0.0 if scores is None else float(np.float32(scores[row, column]))
            listed.classes.add(label=label, score=score)
