"""REST classify: JSON examples → tf.Examples, a ClassificationResult → JSON."""

from __future__ import annotations

from typing import Any

from serving.model_server import json_text, json_values
from serving.model_server.statuses import Status, invalid


def fill(sent: Any, document: Any) -> None:
    """Write `examples` and `context` of a body into an empty Input. Raises Status."""
    examples, context = document.get("examples"), document.get("context")
    if not isinstance(examples, list):
        raise invalid("When method is classify, key 'examples' is expected and must be a list/array")
    if not examples:
        raise invalid("'examples' value is expected to be an non-empty list/array")
    into = sent.example_list
    if "context" in document:
        into = sent.example_list_with_context
        if not isinstance(context, dict):
            raise invalid("Example must be JSON object but got JSON " + json_text.kind(context))
        _example(into.context, context)
    for example in examples:
        if not isinstance(example, dict):
            raise invalid("Example must be JSON object but got JSON " + json_text.kind(example))
        _example(into.examples.add(), example)


def _example(proto: Any, features: dict[str, Any]) -> None:
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = proto.features.feature[name]
        kinds = set()
        for each in values:
            kind, read = _read(name, each)
            kinds.add(kind)
            if len(kinds) > 1:
                raise invalid(
                    f"Unexpected element type in feature: {name} expecting type: {min(kinds - {kind})}"
                )
            try:
                getattr(feature, kind).value.append(read)
            except ValueError:
                raise invalid(f"Feature: {name} value {each} is out of range") from None


def _read(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, bool | int):
        return "int64_list", int(value)
    if isinstance(value, float):
        return "float_list", value
    try:
        return "bytes_list", json_values.text_bytes(value)
    except Status as error:
        if isinstance(value, str | dict) and "base64" in str(error):
            raise
        raise invalid(
            f"Feature: {name} has element with unexpected JSON type: {json_text.kind(value)}"
        ) from None


def results(result: Any) -> str:
    """The body of an answer: for each example its [label, score] pairs."""
    rows = []
    for classification in result.classifications:
        pairs = (
            f"[{json_text.string(each.label)}, {json_text.number(each.score, single=True)}]"
            for each in classification.classes
        )
        rows.append("[" + ", ".join(pairs) + "]")
    return '{\n    "results": [' + ", ".join(rows) + "]\n}"
