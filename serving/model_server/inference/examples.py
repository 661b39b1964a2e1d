"""What Classify, Regress and MultiInference have in common: serialized tf.Examples as one tensor."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from serving.model_server.inference.predict import Settings
from serving.model_server.runtime import saved_model
from serving.model_server.runtime.saved_model import SavedModel, Signature, Tensor
from serving.model_server.status import invalid

INPUTS = "inputs"  # the alias of their one input
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def serialized(sent: Any) -> NDArray[Any]:
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
    return saved_model.strings(found)


def signature_of(model: SavedModel, name: str) -> Signature:
    """The signature that a Classify or Regress call names. Raises Status."""
    found = model.signatures.get(name)
    if found is None:
        raise invalid(f"No signature was found with the name: {name}")
    return found


def check_method(signature: Signature, settings: Settings, wanted: str, word: str) -> None:
    """With --enable_signature_method_name_check: whether the signature is for this call. Raises Status."""
    if settings.method_names and signature.method != wanted:
        raise invalid(f"Expected {word} signature method_name to be {wanted}. Was: {signature.method}")


def one_input(model: SavedModel, name: str, word: str) -> Tensor:
    """The one input of a signature. Raises Status."""
    signature = model.signatures[name]
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No {word} inputs found in SignatureDef: {model.raw[name]}")
    return signature.inputs[INPUTS]


def shape(array: NDArray[Any]) -> str:
    """A shape as error texts show it."""
    return "[" + ",".join(map(str, array.shape)) + "]"
