"""/openapi.json: what it says of bodies and answers is so.

The answers of all tests of routes are held against it: `Running.ask`.
"""

import http.client
import json
import re
import socket

import pytest
from jsonschema import Draft202012Validator

from serving.app.settings import Limits
from tests.serving.app import _openapi
from tests.serving.app._gateway import document, running
from tests.serving.app.feedback._corrections import line_tree, tree

JSON = "application/json"


def test_operations_have_names_of_their_own_parameters_of_their_paths_and_every_error_they_may_meet():
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    common = ("401", "403", "408", "413", "429", "500", "503", "504", "default")
    names = []
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["description"].endswith(".") and "422" not in operation["responses"]
            found = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
            assert sorted(found) == sorted(re.findall(r"\{(\w+)\}", path))
            for status in common if path.startswith("/api/") else ("403", "500"):
                assert operation["responses"][status]["content"] == error
    assert len(set(names)) == len(names) == 10
    known = document()["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document())):
        Draft202012Validator.check_schema(known[name])


ROW = [0] * 28
BODIES = {
    "/api/predict": [
        *({"images": [[ROW] * 28] * count} for count in (0, 1, 2)),
        *({"images": [image]} for image in ([ROW] * 27, [[0.5] * 28] * 28, [[256] * 28] * 28)),
        {"images": [[ROW] * 28], "more": 1},
        [[ROW] * 28],
    ],
    "/api/feedback": [
        *(tree(), [], tree(digit=None, confidence=None, version=None)),
        {name: value for name, value in tree().items() if name not in ("digit", "confidence", "version")},
        {name: value for name, value in tree().items() if name != "source"},
        *(tree(label=label) for label in (-1, 0, 9, 10, "3", True, None)),
        *(tree(confidence=confidence) for confidence in (-0.1, 0, 1, 1.1, "1")),
        *(tree(version=version) for version in (0, 1, 2**31 - 1, 2**31)),
        *(line_tree(text=text) for text in ("1.50", "1,5 0", "", " ", "1..2", "x", 1, "1" * 24, "1" * 25)),
        *(line_tree(said=said) for said in ("1.5", None, "x", 7)),
        *(line_tree(line=5), line_tree(label=1), line_tree(image=tree()["image"]), line_tree(mode="both")),
        *(tree(digit=10), tree(source="scan"), tree(mode="both"), tree(image=5), tree(name="x")),
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
