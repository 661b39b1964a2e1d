"""Answers of the gateway, held against its own OpenAPI document."""

import re

from jsonschema import Draft202012Validator


def validator(document, schema):
    """Of one schema of the document; objects have no other properties than theirs unless they say so."""
    found = document["components"]["schemas"].items()
    closed = {name: {"additionalProperties": False, **each} for name, each in found}
    return Draft202012Validator({**schema, "components": {"schemas": closed}})


def check(document, method, path, status, kind, body):
    """AssertionError or ValidationError for an answer that is not as described. body: JSON is parsed."""
    asked = path.partition("?")[0]
    described = None
    for template, methods in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), asked):
            described = methods.get(method.lower())
    if described is None:  # a page, a file, or an address that there is not
        if status >= 400:
            validator(document, {"$ref": "#/components/schemas/Error"}).validate(body)
        return
    assert str(status) in described["responses"], f"{method} {path}: {status} is not described"
    content = described["responses"][str(status)]["content"]
    assert kind in content, f"{method} {path}: {status} as {kind}, described as {list(content)}"
    if kind == "application/json":
        validator(document, content[kind]["schema"]).validate(body)
