"""Upstream's REST routing: which paths and verbs mean what, percent signs, CORS, codings, content types."""

import gzip
import http.client
import json

import pytest

from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._calls import serving

ODD = "modelname!#$%&'()*+,/:;=?@[]"
QUOTED = "modelname%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"
BODY = {"instances": [1.0]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    _models.half_plus(base / "half" / "123", 2.0)
    _models.half_plus(base / "half" / "122", 1.0)
    return base


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("log"), {"half": models / "half", ODD: models / "half"}) as made:
        yield made


def ask(server, verb, path, body=None, headers=None):
    """(status, headers, body) of a request with exactly this path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    connection.request(verb, path, data, headers or {})
    answer = connection.getresponse()
    found = answer.status, dict(answer.headers), answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/half:predict", 2.5),
        ("/v1/models/half/versions/123:predict", 2.5),
        ("/v1/models/half/versions/000123:predict", 2.5),
        ("/V1/MODELS/half/VERSIONS/123:predict", 2.5),
        (f"/v1/models/{QUOTED}:predict", 2.5),
        (f"/v1/models/{QUOTED}/versions/123:predict", 2.5),
        ("/v1/models/%68alf:predict", 2.5),
    ],
)
def test_paths_that_predict(server, path, expected):
    status, headers, body = ask(server, "POST", path, BODY)
    assert (status, json.loads(body)) == (200, {"predictions": [expected]})
    assert headers["Content-Type"] == "application/json" and "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/models/half", "model_version_status"),
        ("/v1/models/half/versions/123", "model_version_status"),
        ("/v1/models/half/labels/whatever", "model_version_status"),
        ("/v1/models/half/METADATA", "model_version_status"),  # the word counts in lower case only
        ("/v1/models/half/metadata", "metadata"),
        ("/v1/models/half/versions/123/metadata", "metadata"),
        (f"/v1/models/{QUOTED}/metadata", "metadata"),
        ("/v1/MODELS/half/metadata", "metadata"),
    ],
)
def test_paths_that_tell_of_a_model(server, path, key):
    status, headers, body = ask(server, "GET", path)
    assert status == 200 and key in json.loads(body) and headers["Content-Type"] == "application/json"


MALFORMED = [
    ("GET", "/v1/foo"),
    ("POST", "/v1/foo"),
    ("GET", "/v1/models/debug/model_name"),
    ("POST", "/v1/models"),
    ("GET", "/v1/models/half:predict"),
    ("GET", "/v1/models/half/version/50:predict"),
    ("POST", "/v1/models/half/version/50:regress"),
    ("POST", "/v1/models/half/versions/HELLO:regress"),
    ("POST", "/v1/models/half/metadata"),
    ("POST", "/v1/models/half/label/some:regress"),
    ("POST", "/v1/models/half/versions/50/labels/some:regress"),
    ("POST", "/v1/models/half/versions/-1:predict"),
    ("POST", "/v1/models/half:PREDICT"),
    ("POST", "/v1/models/half:Classify"),
    ("POST", "/v1/models/half:infer"),
    ("POST", "/v1/models/half:predict?x=1"),
    ("GET", "/v1/models/half/"),
    ("PUT", "/v1/models/half:predict"),
    ("DELETE", "/v1/models/half"),
    ("PATCH", "/v1/models/half"),
]


@pytest.mark.parametrize(("verb", "path"), MALFORMED)
def test_whatever_else_is_malformed(server, verb, path):
    status, headers, body = ask(server, verb, path, b"{}" if verb != "GET" else None)
    assert (status, json.loads(body)) == (400, {"error": f"Malformed request: {verb} {path}"})
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("verb", "path", "status", "said"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/versions/5", 400, "Missing model name in request."),
        ("GET", "/v1/models/half?x", 404, "Could not find any versions of model half?x"),
        ("GET", "/v1/models/nope", 404, "Could not find any versions of model nope"),
        ("GET", "/v1/models/half/versions/9", 404, "Could not find version 9 of model half"),
        ("GET", "/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
        (
            "GET",
            "/v1/models/half/versions/9/metadata",
            404,
            "Servable not found for request: Specific(half, 9)",
        ),
        ("GET", "/v1/models/half/labels/x/metadata", 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/nope:predict", 404, "Servable not found for request: Latest(nope)"),
        ("POST", "/v1/models/nope:regress", 404, "Servable not found for request: Latest(nope)"),
        (
            "POST",
            "/v1/models/half/versions/9:predict",
            404,
            "Servable not found for request: Specific(half, 9)",
        ),
        ("POST", "/v1/models/half/labels/a%2Fb:predict", 400, "Unrecognized servable version label: a/b"),
        *(
            (verb, path, 400, f"Failed to convert version: {number} to numeric.")
            for number in (2**63, 2**64 - 1, 10**30)
            for verb, path in (
                ("GET", f"/v1/models/half/versions/{number}"),
                ("GET", f"/v1/models/half/versions/{number}/metadata"),
                ("POST", f"/v1/models/half/versions/{number}:regress"),
                ("POST", f"/v1/models/half/versions/{number}:PREDICT"),
            )
        ),
    ],
)
def test_what_a_path_asks_for_in_vain_to_the_letter(server, verb, path, status, said):
    body = {"instances": [1.0], "examples": [{"x": 1.0}]} if verb == "POST" else None
    found, _, answer = ask(server, verb, path, body)
    assert (found, json.loads(answer)) == (status, {"error": said})


def test_the_body_is_read_before_the_model_is_looked_for(server):
    status, _, body = ask(server, "POST", "/v1/models/nope:predict", b"")
    assert (status, json.loads(body)) == (400, {"error": "JSON Parse error: The document is empty"})


@pytest.mark.parametrize(
    "path", ["/", "/index", "/statuspage", "/v2/models/half", "/v1", "/x/v1/models/half"]
)
def test_paths_of_no_api_are_plain_not_found(server, path):
    status, headers, body = ask(server, "GET", path)
    assert status == 404 and headers["Content-Type"].startswith("text/html") and b"Not Found" in body


@pytest.mark.parametrize(
    ("origin", "status"), [("http://a.example", 200), ("https://a.example", 200), ("null", 400), (None, 400)]
)
def test_options_needs_an_origin(server, origin, status):
    found, _, body = ask(
        server, "OPTIONS", "/v1/models/half:predict", None, {"Origin": origin} if origin else {}
    )
    assert (found, body) == (status, b"")


def test_a_label_in_the_path_is_the_version_that_it_stands_for(models, tmp_path):
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "half" base_path: "{models / "half"}" '
        'model_platform: "tensorflow" model_version_policy { all {} } '
        'version_labels { key: "blue/1" value: 122 } version_labels { key: "green" value: 123 } } }'
    )
    flags = (
        f"--model_config_file={tmp_path / 'models.config'}",
        "--allow_version_labels_for_unavailable_models",
    )
    with Server(tmp_path / "log", *flags) as server:
        for label, expected in (("blue%2F1", 1.5), ("green", 2.5)):
            path = f"/v1/models/half/labels/{label}"
            assert server.rest(f"{path}:predict", BODY) == (200, {"predictions": [expected]})
            assert (
                server.rest(f"{path}/metadata")[1]["model_spec"]["version"]
                == {1.5: "122", 2.5: "123"}[expected]
            )


def test_cors_headers_stand_on_every_answer_where_they_are_asked_for(models, tmp_path):
    with serving(tmp_path, {"half": models / "half"}, "--rest_api_enable_cors_support") as server:
        for verb, path, body in (
            ("POST", "/v1/models/half:predict", BODY),
            ("POST", "/v1/models/half:predict", b"{"),
            ("GET", "/v1/models/nope", None),
            ("OPTIONS", "/v1/models/half:predict", None),
        ):
            _, headers, _ = ask(server, verb, path, body, {"Origin": "http://a.example"})
            assert headers["Access-Control-Allow-Origin"] == "*"
            assert headers["Access-Control-Allow-Methods"] == "POST, GET"
            assert headers["Access-Control-Allow-Headers"] == "Content-Type"


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate, gzip"])
def test_gzip_bodies_are_unpacked(server, coding):
    packed = gzip.compress(json.dumps(BODY).encode())
    status, _, body = ask(server, "POST", "/v1/models/half:predict", packed, {"Content-Encoding": coding})
    assert (status, json.loads(body)) == (200, {"predictions": [2.5]})


def test_what_is_not_gzip_as_it_says_is_refused(server):
    status, _, body = ask(server, "POST", "/v1/models/half:predict", b"{}", {"Content-Encoding": "gzip"})
    assert status == 400 and "the body is not gzip as Content-Encoding says" in json.loads(body)["error"]
