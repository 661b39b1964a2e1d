"""Upstream's REST routing: which paths and verbs mean what, percent signs, CORS, codings, content types."""

import gzip
import json

import pytest

from tests.serving.model_server._calls import serving
from tests.serving.model_server.rest._http import ask

ODD = "modelname!#$%&'()*+,/:;=?@[]"
QUOTED = "modelname%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"
BODY = json.dumps({"instances": [1.0], "examples": [{"x": 1.0}]}).encode()
PREDICT = json.dumps({"instances": [1.0]}).encode()


@pytest.fixture(scope="module")
def odd(models, tmp_path_factory):
    """A server of a model with every reserved character in its name, and with CORS."""
    wanted = {"half": models["half"], ODD: models["half"]}
    with serving(tmp_path_factory.mktemp("odd"), wanted, "--rest_api_enable_cors_support") as made:
        yield made


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/half:predict", 2.5),
        ("/v1/models/half/versions/000122:predict", 1.5),
        ("/V1/MODELS/half/VERSIONS/123:predict", 2.5),
        ("/v1/models/%68alf:predict", 2.5),
        ("/v1/models/half/labels/blue%2F1:predict", 1.5),
        ("/v1/models/half/labels/green:predict", 2.5),
    ],
)
def test_paths_that_predict(server, path, expected):
    status, headers, body = ask(server, "POST", path, PREDICT)
    assert (status, json.loads(body)) == (200, {"predictions": [expected]})
    assert headers["Content-Type"] == "application/json" and "Access-Control-Allow-Origin" not in headers


STATUS, METADATA = "model_version_status", "metadata"


@pytest.mark.parametrize(
    ("path", "key", "version"),
    [
        ("/v1/models/half", STATUS, "123"),
        ("/v1/models/half/versions/122", STATUS, "122"),
        ("/v1/models/half/labels/whatever", STATUS, "123"),
        ("/v1/models/half/METADATA", STATUS, "123"),  # the word counts in lower case only
        ("/v1/MODELS/half/metadata", METADATA, "123"),
        ("/v1/models/half/versions/122/metadata", METADATA, "122"),
        ("/v1/models/half/labels/blue%2F1/metadata", METADATA, "122"),
    ],
)
def test_paths_that_tell_of_a_model(server, path, key, version):
    status, headers, body = ask(server, "GET", path)
    told = json.loads(body)
    found = told[STATUS][0] if key == STATUS else told["model_spec"]
    assert (status, found["version"]) == (200, version) and key in told
    assert headers["Content-Type"] == "application/json"


def test_every_reserved_character_may_stand_in_a_name_as_percents(odd):
    status, _, body = ask(odd, "POST", f"/v1/models/{QUOTED}/versions/123:predict", PREDICT)
    assert (status, json.loads(body)) == (200, {"predictions": [2.5]})
    assert ask(odd, "GET", f"/v1/models/{QUOTED}/metadata")[0] == 200


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", "/v1/models/debug/model_name"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/half:predict"),
        ("POST", "/v1/models/half/version/50:regress"),
        ("POST", "/v1/models/half/versions/HELLO:regress"),
        ("POST", "/v1/models/half/versions/-1:predict"),
        ("POST", "/v1/models/half/metadata"),
        ("POST", "/v1/models/half/versions/50/labels/some:regress"),
        ("POST", "/v1/models/half:PREDICT"),
        ("POST", "/v1/models/half:infer"),
        ("POST", "/v1/models/half:predict?x=1"),
        ("GET", "/v1/models/half/"),
        ("PUT", "/v1/models/half:predict"),
        ("DELETE", "/v1/models/half"),
    ],
)
def test_whatever_else_is_malformed(server, verb, path):
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
    found, _, answer = ask(server, verb, f"/v1/models{path}", BODY if verb == "POST" else None)
    assert (found, json.loads(answer)) == (status, {"error": said})


def test_the_body_is_read_before_the_model_is_looked_for(server):
    status, _, body = ask(server, "POST", "/v1/models/nope:predict", b"")
    assert (status, json.loads(body)) == (400, {"error": "JSON Parse error: The document is empty"})


@pytest.mark.parametrize("path", ["/", "/statuspage", "/v2/models/half", "/v1", "/x/v1/models/half"])
def test_paths_of_no_api_are_plain_not_found(server, path):
    status, headers, body = ask(server, "GET", path)
    assert status == 404 and headers["Content-Type"].startswith("text/html") and b"Not Found" in body


@pytest.mark.parametrize(
    ("origin", "status"), [("http://a.example", 200), ("https://a.example", 200), ("null", 400), (None, 400)]
)
def test_options_needs_an_origin(server, origin, status):
    headers = {"Origin": origin} if origin else {}
    found, _, body = ask(server, "OPTIONS", "/v1/models/half:predict", None, headers)
    assert (found, body) == (status, b"")


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "/v1/models/half:predict", PREDICT),
        ("POST", "/v1/models/half:predict", b"{"),
        ("GET", "/v1/models/nope", None),
        ("OPTIONS", "/v1/models/half:predict", None),
    ],
)
def test_cors_headers_stand_on_every_answer_where_they_are_asked_for(odd, verb, path, body):
    _, headers, _ = ask(odd, verb, path, body, {"Origin": "http://a.example"})
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert headers["Access-Control-Allow-Headers"] == "Content-Type"


@pytest.mark.parametrize("coding", ["gzip", "deflate, gzip"])
def test_gzip_bodies_are_unpacked(server, coding):
    headers = {"Content-Encoding": coding}
    status, _, body = ask(server, "POST", "/v1/models/half:predict", gzip.compress(PREDICT), headers)
    assert (status, json.loads(body)) == (200, {"predictions": [2.5]})


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"{}", "the body is not gzip as Content-Encoding says"),
        (gzip.compress(bytes(50_000_000)), "more than 200 times its size"),
    ],
    ids=["no gzip", "bomb"],
)
def test_what_is_not_gzip_as_it_says_or_unpacks_to_too_much_is_refused(server, packed, said):
    headers = {"Content-Encoding": "gzip"}
    status, _, body = ask(server, "POST", "/v1/models/half:predict", packed, headers)
    assert status == 400 and said in json.loads(body)["error"]
