"""RegressionRequest → RegressionResponse: one number for each tf.Example."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from serving.model_server.inference import examples, predict
from serving.model_server.inference.predict import Settings
from serving.model_server.runtime import dtypes, saved_model
from serving.model_server.runtime.saved_model import SavedModel
from serving.model_server.status import invalid

OUTPUTS = "outputs"


async def regress(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a RegressionRequest into an empty response, all but its version. Raises Status."""
    name = request.model_spec.signature_name or saved_model.DEFAULT
    signature = examples.signature_of(model, name)
    wanted = outputs(model, name, settings)
    files = examples.serialized(request.input)
    given = {examples.INPUTS: files}
    found = await predict.answer(model, signature, given, wanted, settings.limits, seconds)
    fill(response.result, found[0], len(files))
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name


def outputs(model: SavedModel, name: str, settings: Settings) -> list[str]:
    """The output of a signature that Regress asks for. Raises Status."""
    signature = model.signatures[name]
    examples.check_method(signature, settings, examples.REGRESS, "regression")
    if len(signature.inputs) == 1 and len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    examples.one_input(model, name, "regression")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {model.raw[name]}")
    return [OUTPUTS]


def fill(result: Any, array: NDArray[Any], count: int) -> None:
    """Write float [count] or [count, 1] into a RegressionResult. Raises Status."""
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{examples.shape(array)}"
        )
    if len(array) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    kind = dtypes.tensor_dtype(array.dtype)
    if kind != dtypes.FLOAT:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {dtypes.enum_name(kind)}")
    for value in array.ravel().tolist():
        result.regressions.add(value=value)
