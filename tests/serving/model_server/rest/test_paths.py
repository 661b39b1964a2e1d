"""Upstream's REST routing: which paths and verbs mean what, percent signs, CORS, codings, content types."""

import gzip
import json

import pytest

from digits_model_server.limits import Limits, gunzip
from digits_model_server.status import RESOURCE_EXHAUSTED, Status
from tests.serving.model_server._calls import serving
from tests.serving.model_server.rest._http import ask

ODD = "modelname!#$%&'()*+,/:;=?@[]"
QUOTED = "modelname%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"
BODY = b'{"instances": [1.0], "examples": [{"x": 1.0}]}'
PREDICT = b'{"instances": [1.0]}'


@pytest.fixture(scope="module")
def odd(models, tmp_path_factory):
    """A server of a model with every reserved character in its name, and with CORS."""
    wanted = {"half": models["half"], ODD: models["half"]}
    with serving(tmp_path_factory.mktemp("odd"), wanted, "--rest_api_enable_cors_support") as made:
        yield made


def test_paths_that_predict(server):
    for path, expected in {
        "/v1/models/half": 2.5,
        "/v1/models/half/versions/000122": 1.5,
        "/V1/MODELS/half/VERSIONS/123": 2.5,
        "/v1/models/%68alf": 2.5,
        "/v1/models/half/labels/blue%2F1": 1.5,
        "/v1/models/half/labels/green": 2.5,
    }.items():
        status, headers, body = ask(server, "POST", f"{path}:predict", PREDICT)
        assert (status, json.loads(body)) == (200, {"predictions": [expected]}), path
        assert headers["Content-Type"] == "application/json" and "Access-Control-Allow-Origin" not in headers


def test_paths_that_tell_of_a_model(server):
    for path, version in {
        "/v1/models/half": "123",
        "/v1/models/half/versions/122": "122",
        "/v1/models/half/labels/whatever": "123",
        "/v1/models/half/METADATA": "123",  # the word counts in lower case only
        "/v1/MODELS/half/metadata": "123",
        "/v1/models/half/versions/122/metadata": "122",
        "/v1/models/half/labels/blue%2F1/metadata": "122",
    }.items():
        status, headers, body = ask(server, "GET", path)
        told = json.loads(body)
        found = told["model_spec"] if path.endswith("metadata") else told["model_version_status"][0]
        assert (status, found["version"]) == (200, version), path
        assert ("metadata" in told) == path.endswith("metadata")
        assert headers["Content-Type"] == "application/json"


def test_every_reserved_character_may_stand_in_a_name_as_percents(odd):
    answer = odd.rest(f"/v1/models/{QUOTED}/versions/123:predict", PREDICT)
    assert answer == (200, {"predictions": [2.5]})
    assert odd.rest(f"/v1/models/{QUOTED}/metadata")[0] == 200


MALFORMED = """
GET /v1/foo, /v1/models/debug/model_name, /v1/models/half:predict, /v1/models/half/
POST /v1/models, /v1/models/half/metadata, /v1/models/half:PREDICT, /v1/models/half:infer
POST /v1/models/half/version/50:regress, /v1/models/half/versions/HELLO:regress, /v1/models/half:predict?x=1
POST /v1/models/half/versions/-1:predict, /v1/models/half/versions/50/labels/some:regress
PUT /v1/models/half:predict
DELETE /v1/models/half
"""


@pytest.mark.parametrize("line", MALFORMED.strip().splitlines())
def test_whatever_else_is_malformed(server, line):
    verb, paths = line.split(" ", 1)
    for path in paths.split(", "):
        status, headers, body = ask(server, verb, path, b"{}" if verb != "GET" else None)
        assert (status, json.loads(body)) == (400, {"error": f"Malformed request: {verb} {path}"})
        assert headers["Content-Type"] == "application/json"


NONE, LATEST = "Could not find any versions of model ", "Servable not found for request: Latest(nope)"
SPECIFIC, NUMERIC = "Servable not found for request: Specific(half, 9)", "Failed to convert version: "


@pytest.mark.parametrize(
    ("verb", "path", "status", "said"),
    [
        ("GET", "", 400, "Missing model name in request."),
        ("GET", "/versions/5", 400, "Missing model name in request."),
        ("GET", "/half?x", 404, f"{NONE}half?x"),
        ("GET", "/nope", 404, f"{NONE}nope"),
        ("GET", "/half/versions/9", 404, "Could not find version 9 of model half"),
        ("GET", "/nope/metadata", 404, LATEST),
        ("GET", "/half/versions/9/metadata", 404, SPECIFIC),
        ("GET", "/half/labels/x/metadata", 400, "Unrecognized servable version label: x"),
        ("POST", "/nope:predict", 404, LATEST),
        ("POST", "/nope:regress", 404, LATEST),
        ("POST", "/half/versions/9:predict", 404, SPECIFIC),
        ("POST", "/half/labels/a%2Fb:predict", 400, "Unrecognized servable version label: a/b"),
        ("GET", f"/half/versions/{2**63}", 400, f"{NUMERIC}{2**63} to numeric."),
        ("GET", f"/half/versions/{2**64}/metadata", 400, f"{NUMERIC}{2**64} to numeric."),
        ("POST", f"/half/versions/{10**30}:regress", 400, f"{NUMERIC}{10**30} to numeric."),
    ],
)
def test_what_a_path_asks_for_in_vain_to_the_letter(server, verb, path, status, said):
    body = BODY if verb == "POST" else None
    assert server.rest(f"/v1/models{path}", body) == (status, {"error": said})


def test_the_body_is_read_before_the_model_is_looked_for(server):
    said = {"error": "JSON Parse error: The document is empty"}
    assert server.rest("/v1/models/nope:predict", b"") == (400, said)


@pytest.mark.parametrize("path", ["/", "/statuspage", "/v2/models/half", "/v1", "/x/v1/models/half"])
def test_paths_of_no_api_are_plain_not_found(server, path):
    status, headers, body = ask(server, "GET", path)
    assert status == 404 and headers["Content-Type"].startswith("text/html") and b"Not Found" in body


def test_options_needs_an_origin(server):
    for origin, status in (("http://a.example", 200), ("https://a.example", 200), ("null", 400), (None, 400)):
        headers = {"Origin": origin} if origin else {}
        found, _, body = ask(server, "OPTIONS", "/v1/models/half:predict", None, headers)
        assert (found, body) == (status, b""), origin


def test_cors_headers_stand_on_every_answer_where_they_are_asked_for(odd):
    for verb, path, body in (
        ("POST", "/v1/models/half:predict", PREDICT),
        ("POST", "/v1/models/half:predict", b"{"),
        ("GET", "/v1/models/nope", None),
        ("OPTIONS", "/v1/models/half:predict", None),
    ):
        _, headers, _ = ask(odd, verb, path, body, {"Origin": "http://a.example"})
        assert headers["Access-Control-Allow-Origin"] == "*", verb
        assert headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert headers["Access-Control-Allow-Headers"] == "Content-Type"


def packed(server, body, coding="gzip"):
    """(status, JSON) of the answer to a body that says it is packed."""
    return server.rest("/v1/models/half:predict", body, {"Content-Encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "deflate, gzip"])
def test_gzip_bodies_are_unpacked(server, coding):
    assert packed(server, gzip.compress(PREDICT), coding) == (200, {"predictions": [2.5]})


def test_what_is_not_gzip_as_it_says_or_unpacks_to_too_much_is_refused(server):
    bomb = gzip.compress(bytes(10_000_000))
    for body, said in {b"{}": "is not gzip as Content-Encoding says", bomb: "more than 200 times"}.items():
        status, answer = packed(server, body)
        assert status == 400 and said in answer["error"]
    for body in (b"", gzip.compress(b"x" * 1000, mtime=0)[:-9]):
        with pytest.raises(Status, match="gzip"):
            gunzip(body, Limits())
    with pytest.raises(Status, match="larger than 100000 bytes") as caught:
        gunzip(bomb, Limits(request_bytes=100_000, gzip_ratio=0))
    assert caught.value.code == RESOURCE_EXHAUSTED
    assert len(gunzip(bomb, Limits(request_bytes=0, gzip_ratio=0))) == 10_000_000
