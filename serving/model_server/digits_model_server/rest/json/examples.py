"""REST classify and regress: makes tf.Examples of JSON examples, and JSON of the results."""

from __future__ import annotations

from typing import Any

from digits_model_server.rest.json import text
from digits_model_server.rest.json.decode import Bounds, is_b64, unpacked
from digits_model_server.rest.json.text import shown
from digits_model_server.status import Status, invalid

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


STEP = 10_000  # values that are read between two looks at the clock


def fill(sent: Any, document: dict[str, Any], bounds: Bounds) -> None:
    """Write `examples` and `context` of a body into an empty Input. Raises Status."""
    into = sent.example_list
    if "context" in document:
        into = sent.example_list_with_context
        into.context.SetInParent()
        _example(into.context, document["context"], bounds)
    examples = document.get("examples")
    if "examples" not in document:
        what = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(examples, list):
        what = "Expecting 'examples' value to be an list/array"
    elif not examples:
        what = "'examples' value is an empty array"
    else:
        for example in examples:
            _example(into.examples.add(), example, bounds)
        return
    raise invalid(f"JSON Value: {shown(document)} {what}")


def _example(proto: Any, given: Any, bounds: Bounds) -> None:
    if not isinstance(given, dict):
        raise invalid(f"Example must be JSON object but got JSON {text.kind(given)}")
    for name, value in given.items():
        feature = proto.features.feature[name]
        values = value if isinstance(value, list) else [value]
        for start in range(0, len(values), STEP):
            bounds.seconds_left()
            for each in values[start : start + STEP]:
                _add(feature, name, each)


def _add(feature: Any, name: str, value: Any) -> None:
    """Append one value to a feature, whose kind its first value has set."""
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        kind = "int64_list"
    elif isinstance(value, int | float):
        kind = "float_list"
    elif isinstance(value, str) or is_b64(value):
        kind = "bytes_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {text.kind(value)}")
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[known]}")
    if kind == "int64_list" and value >= 2**63:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    getattr(feature, kind).value.append(_read(value))


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return unpacked(value["b64"])
    return int(value) if isinstance(value, bool) else value


def classifications(result: Any) -> str:
    """The body of an answer to classify: for each example its [label, score] pairs. Raises Status."""
    if not result.classifications:
        raise _empty("ClassificationResults")
    rows = []
    for classification in result.classifications:
        pairs = (
            f"[{text.string(each.label)}, {text.number(each.score, single=True)}]"
            for each in classification.classes
        )
        rows.append("[" + ", ".join(pairs) + "]")
    return '{\n    "results": [' + ", ".join(rows) + "\n    ]\n}"


def regressions(result: Any) -> str:
    """The body of an answer to regress: a number for each example. Raises Status."""
    if not result.regressions:
        raise _empty("RegressionResults")
    values = (text.number(each.value, single=True) for each in result.regressions)
    return '{\n    "results": [' + ", ".join(values) + "]\n}"


def _empty(what: str) -> Status:
    return invalid(f"Cannot convert empty {what} to JSON")
