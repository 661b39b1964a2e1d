"""Answers Predict requests, as messages or as named arrays, with the outputs of a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from digits_model_server import metrics
from digits_model_server.event_loop import Steps
from digits_model_server.limits import Limits
from digits_model_server.runtime import saved_model, tensors
from digits_model_server.runtime.saved_model import Arrays, SavedModel, Signature
from digits_model_server.status import INTERNAL, Status, invalid, precondition

METHODS = tuple(f"tensorflow/serving/{word}" for word in ("predict", "classify", "regress"))


@dataclass(frozen=True)
class Settings:
    """Settings that hold for every request. as_content: answers carry raw bytes rather than typed lists.

    method_names: a signature answers only the calls that its method_name is for.
    observer: counts the requests; None for no metrics.
    """

    limits: Limits
    as_content: bool = False
    method_names: bool = False
    observer: metrics.Observer | None = None


# What answers a request with a loaded model: model, request, empty response, settings, seconds left
Work = Callable[[SavedModel, Any, Any, Settings, float | None], Steps[None]]


async def predict(
    model: SavedModel, request: Any, response: Any, settings: Settings, seconds: float | None = None
) -> None:
    """Answer a PredictRequest: fill an empty PredictResponse, all but its version. Raises Status."""
    name = request.model_spec.signature_name or saved_model.DEFAULT
    signature = model.signatures.get(name)
    if signature is None:
        raise precondition(f'Serving signature key "{name}" not found.')
    metrics.record_signature(name)
    if settings.method_names:
        check_method(signature)
    sent = request.inputs
    check_names(signature, sent)
    most = settings.limits.request_bytes
    arrays = {alias: tensors.parse(alias, sent[alias], most) for alias in signature.inputs if alias in sent}
    wanted = select_outputs(signature, request.output_filter)
    answers = await answer(model, signature, arrays, wanted, settings.limits, seconds)
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    outputs = response.outputs
    for alias, array in zip(wanted, answers, strict=True):
        tensors.fill(outputs[alias], array, settings.as_content)


async def answer(
    model: SavedModel,
    signature: Signature,
    arrays: Arrays,
    wanted: Sequence[str],
    limits: Limits,
    seconds: float | None = None,
) -> list[NDArray[Any]]:
    """Return the wanted outputs for arrays by alias, names already checked. Raises Status.

    Inputs that are left out take the signature's defaults.
    """
    given = signature.defaults | arrays if signature.defaults else arrays
    for place, (alias, array) in enumerate(given.items()):
        saved_model.check(alias, place, signature.inputs[alias], array, limits)
    began = time.perf_counter()
    answers = await model.run(signature, given, wanted, seconds)
    metrics.record_run(time.perf_counter() - began)
    return answers


def check_method(signature: Signature) -> None:
    """Check that the signature's method_name is one that Predict answers. Raises Status."""
    if signature.method not in METHODS:
        raise Status(
            INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(METHODS)}}}. Was: "
            f"{signature.method}",
        )


def check_names(signature: Signature, sent: Mapping[str, Any]) -> None:
    """Check that the inputs are the signature's. Raises Status in upstream's words."""
    expected = signature.inputs
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        extra, missing = set(sent) - set(expected), set(expected) - set(sent)
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_set(sent)}) != len({_set(expected)}). Sent extra: {_set(extra)}. "
            f"Missing but required: {_set(missing)}."
        )
    for alias, tensor in expected.items():
        if alias not in sent and alias not in signature.defaults:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {tensor.name}) not found in request and no "
                f"default value provided. Inputs expected to be in the request {_set(sent)}, or default "
                f"input alias set: {','.join(sorted(signature.defaults))}"
            )
    if set(sent) - set(expected):
        used = ",".join(sorted(set(sent) & set(expected)))
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {used}, request input: "
            f"{','.join(sorted(sent))}"
        )


def select_outputs(signature: Signature, chosen: Sequence[str]) -> list[str]:
    """Return the outputs in a request's filter, all of them without one. Raises Status."""
    seen: set[str] = set()
    for alias in chosen:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(chosen) or list(signature.outputs)


def _set(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"
