"""Answers of the gateway, held against its own OpenAPI document."""

import re

from jsonschema import Draft202012Validator

JSON = "application/json"


def schemas(document):
    """The components; objects have no other properties than theirs unless they say so."""
    found = document["components"]["schemas"]
    return {name: {"additionalProperties": False, **schema} for name, schema in found.items()}


def validator(document, schema):
    """Of one schema of the document."""
    return Draft202012Validator({**schema, "components": {"schemas": schemas(document)}})


def operation(document, method, path):
    """What the document has of a request; None of a page, a file, or an address that there is not."""
    for template, methods in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.partition("?")[0]):
            return methods.get(method.lower())
    return None


def check(document, method, path, status, kind, body):
    """AssertionError or ValidationError for an answer that is not as described. body: JSON is parsed."""
    described = operation(document, method, path)
    if described is None:
        if status >= 400:
            validator(document, {"$ref": "#/components/schemas/Error"}).validate(body)
        return
    assert str(status) in described["responses"], f"{method} {path}: {status} is not described"
    content = described["responses"][str(status)]["content"]
    assert kind in content, f"{method} {path}: {status} as {kind}, described as {list(content)}"
    if kind == JSON:
        validator(document, content[kind]["schema"]).validate(body)
