"""/openapi.json: it is OpenAPI 3.1, and what it says of bodies and answers is so.

The answers of all tests of routes are held against it: `Running.ask`.
"""

import http.client
import json
import re
import socket

import pytest
from jsonschema import Draft202012Validator, ValidationError

from serving.app.settings import Limits
from tests.serving.app import _openapi
from tests.serving.app._gateway import document, running
from tests.serving.app.feedback._corrections import tree
from tests.serving.client import _fake

JSON = "application/json"


def closed(required, /, **properties):
    """An object with these properties and no other, but for extensions."""
    own = {"type": "object", "required": required.split(), "properties": properties}
    return own | {"patternProperties": {"^x-": True}, "additionalProperties": False}


def each(value, names=".*"):
    return {"type": "object", "patternProperties": {names: value}, "additionalProperties": False}


TEXT, YES = {"type": "string"}, {"const": True}
SCHEMA = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
CONTENT = {**each(closed("", schema=SCHEMA), r"^[\w.+*-]+/[\w.+*-]+$"), "minProperties": 1}
PARAMETER = {"name": TEXT, "required": {"type": "boolean"}, "description": TEXT, "schema": SCHEMA}
IN_PATH = PARAMETER | {"required": YES, "in": {"const": "path"}}
ELSEWHERE = PARAMETER | {"in": {"enum": ["query", "header", "cookie"]}}
KINDS = [closed("name in required schema", **IN_PATH), closed("name in schema", **ELSEWHERE)]
PARAMETERS = {"type": "array", "items": {"oneOf": KINDS}}
OPERATION = closed(
    "summary description operationId responses",
    summary=TEXT,
    description=TEXT,
    operationId=TEXT,
    parameters=PARAMETERS,
    requestBody=closed("content", required={"type": "boolean"}, description=TEXT, content=CONTENT),
    responses=each(
        closed("description content", description={"type": "string", "minLength": 1}, content=CONTENT),
        "^([1-5][0-9][0-9]|default)$",
    ),
    security={"type": "array", "items": each({"type": "array", "items": TEXT})},
)
OPENAPI = closed(
    "openapi info paths components",
    openapi={"pattern": r"^3\.1\.\d+$"},
    info=closed("title version", title=TEXT, version=TEXT, description=TEXT),
    paths=each(each(OPERATION, "^(get|post)$"), "^/"),
    components=closed(
        "schemas",
        schemas=each(SCHEMA, r"^[\w.-]+$"),
        securitySchemes=each(closed("type scheme", type={"const": "http"}, scheme={"const": "bearer"})),
    ),
)


def below(tree):
    """Every object in a tree."""
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from below(value)


@pytest.fixture(scope="module")
def fake():
    with _fake.serving() as server:
        yield server


@pytest.fixture(scope="module")
def guarded(fake):
    """The document of a gateway with a key."""
    with running(server=fake.grpc, key="correct horse battery") as gateway:
        return gateway.ask("GET", "/openapi.json")[2]


def test_the_document_is_openapi_3_1_and_its_schemas_are_json_schema(guarded):
    for made in (document(), guarded):
        Draft202012Validator(OPENAPI).validate(made)
        for found in below(made):
            assert "nullable" not in found  # of OpenAPI 3.0: JSON Schema knows types and anyOf
            if "$ref" in found:
                name = found["$ref"].removeprefix("#/components/schemas/")
                assert name in made["components"]["schemas"]


def test_operations_have_names_of_their_own_and_name_the_parameters_of_their_paths():
    names = []
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["description"].endswith(".") and "422" not in operation["responses"]
            found = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
            assert sorted(found) == sorted(re.findall(r"\{(\w+)\}", path))
    assert len(set(names)) == len(names) == 7


def test_every_call_of_the_api_describes_the_errors_that_any_request_may_meet():
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            common = ("401", "403", "408", "413", "429", "500", "503", "504", "default")
            for status in common if path.startswith("/api/") else ("403", "500"):
                assert operation["responses"][status]["content"] == error


ROW = [0] * 28
BODIES = {
    "/api/predict": [
        *({"images": [[ROW] * 28] * count} for count in (0, 1, 2)),
        {"images": [[ROW] * 27]},
        {"images": [[[0.5] * 28] * 28]},
        {"images": [[[256] * 28] * 28]},
        {"images": [[ROW] * 28], "more": 1},
        [[ROW] * 28],
    ],
    "/api/feedback": [
        tree(),
        {name: value for name, value in tree().items() if name not in ("digit", "confidence", "version")},
        tree(digit=None, confidence=None, version=None),
        {name: value for name, value in tree().items() if name != "source"},
        *(tree(label=label) for label in (-1, 0, 9, 10, "3", True, None)),
        *(tree(confidence=confidence) for confidence in (-0.1, 0, 1, 1.1, "1")),
        *(tree(version=version) for version in (0, 1, 2**31 - 1, 2**31)),
        *(
            tree(**{name: value})
            for name, value in zip(
                ["digit", "source", "mode", "image", "name"], (10, "scan", "both", 5, "x"), strict=True
            )
        ),
        *([], tree(digit=9)),
    ],
}


def test_a_body_is_taken_if_and_only_if_it_is_as_described(fake, tmp_path):
    taken = []
    with running(server=fake.grpc, feedback=f"sqlite:///{tmp_path / 'feedback.db'}") as gateway:
        for path, bodies in BODIES.items():
            schema = document()["paths"][path]["post"]["requestBody"]["content"][JSON]["schema"]
            for body in bodies:
                status = gateway.ask("POST", path, json.dumps(body), JSON)[0]
                assert (status < 300) == Draft202012Validator(schema).is_valid(body), body
                taken.append(status < 300)
    assert 0 < sum(taken) < len(taken)


@pytest.mark.parametrize(("length", "status"), [(784, 408), (100 << 20, 413)])
def test_a_request_that_never_arrives_whole_is_answered_as_described(fake, length, status):
    with (
        running(server=fake.grpc, limits=Limits(rate=0, seconds=0.3)) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), 20) as raw,
    ):
        raw.sendall(
            f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n12".encode()
        )
        reply = http.client.HTTPResponse(raw)
        reply.begin()
        answer = json.loads(reply.read())
    _openapi.check(document(), "POST", "/api/predict", reply.status, reply.headers["content-type"], answer)
    assert reply.status == status


def test_a_probe_that_fails_is_answered_as_described(fake):
    with running(server=fake.grpc) as gateway:
        assert gateway.ask("GET", "/healthz", Host="evil.example")[0] == 403
        assert gateway.ask("GET", "/readyz")[0] == 200
        gateway.state.draining = True
        assert gateway.ask("GET", "/readyz")[2] == b"draining\n"


PREDICTION = {"digit": 3, "confidence": 1.0, "accepted": None, "probabilities": [0.1] * 10}


@pytest.mark.parametrize(
    ("status", "kind", "answer"),
    [
        (200, JSON, {"version": 3}),
        (200, JSON, {"version": "3", "predictions": []}),
        (200, JSON, {"version": 3, "predictions": [PREDICTION | {"digit": 10}]}),
        (200, JSON, {"version": 3, "predictions": [PREDICTION | {"more": 1}]}),
        (200, "text/plain", b"3"),
        (201, JSON, {"version": 3, "predictions": [PREDICTION]}),
        (400, JSON, {"detail": "wrong"}),
        (400, JSON, {"error": {"code": "sorry", "message": "wrong"}}),
    ],
)
def test_an_answer_that_is_not_as_described_does_not_pass(status, kind, answer):
    right = {"version": 3, "predictions": [PREDICTION]}
    _openapi.check(document(), "POST", "/api/predict", 200, JSON, right)
    with pytest.raises((AssertionError, ValidationError)):
        _openapi.check(document(), "POST", "/api/predict", status, kind, answer)
