"""What the gateway tells: the version in service, where it comes from, its formats, files and metrics."""

import json
import re
import shutil

import pytest

from serving.app.versions import Published
from serving.store import cards, publish
from serving.store.store import Store
from tests.serving._exports import export, make_formats
from tests.serving.app._gateway import running

FACTS = {"commit": "abc", "dirty": False, "at": "2026-11-21T10:00:00Z"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Version 1 with formats for browsers, version 2 without."""
    root = tmp_path_factory.mktemp("published")
    made = Store(root / "serving")
    first = export(root / "a", "one", accuracy=0.9962)
    publish.publish(made, first, FACTS, formats=make_formats(root / "edge", first))
    cards.write(made, 1, {cards.CARD: "# digits, version 1: 99.62 % ±\n"})
    publish.publish(made, export(root / "b", "two"), FACTS)
    return made


@pytest.fixture(scope="module")
def gateway(fake, store):
    fake.versions = {1: "AVAILABLE"}
    with running(server=fake.grpc, store=store.root) as one:
        yield one


def test_the_version_in_service_is_told_with_its_figures_formats_and_card(gateway, store):
    status, _, told = gateway.ask("GET", "/api/about")
    assert status == 200
    assert told["model"] == {"ready": True, "version": 1, "message": ""}
    assert told["edge"] == "/edge/1/"
    facts = {"accuracy": 0.9962, "commit": "abc", "dirty": False, "published": FACTS["at"], "passed": True}
    assert facts.items() <= told["facts"].items()
    assert (told["feedback"], told["key"]) == (False, False)
    assert told["limits"]["bytes"] == 16 << 20
    status, headers, card = gateway.ask("GET", told["card"])
    assert (status, card.decode()) == (200, "# digits, version 1: 99.62 % ±\n")
    assert headers["content-type"] == "text/plain; charset=utf-8" and headers["cache-control"] == "no-cache"

    status, _, told = gateway.ask("GET", "/api/versions/2")
    recorded = (store.folder / "2" / "assets.extra/provenance.json").read_text()
    assert status == 200 and told == json.loads(recorded)
    for path, code in (("/api/versions/9", 404), ("/api/versions/x", 400), ("/api/versions/2/card", 404)):
        assert gateway.ask("GET", path)[0] == code


def test_a_version_that_the_store_does_not_have_is_told_by_its_number_alone(fake, tmp_path):
    with running(server=fake.grpc, store=tmp_path) as gateway:
        told = gateway.ask("GET", "/api/about")[2]
        assert told["model"]["version"] in fake.versions
        assert (told["edge"], told["card"], told["facts"]) == (None, None, None)


def test_the_formats_of_a_version_are_served_to_be_kept_and_nothing_beside_them(gateway):
    status, headers, body = gateway.ask("GET", "/edge/1/tfjs/weights.bin")
    assert (status, body) == (200, b"one") and "immutable" in headers["cache-control"]
    hidden = ("1/../../models.config", "1/%2e%2e/%2e%2e/models.config", "1/", "2/answer.json")
    assert [gateway.ask("GET", f"/edge/{path}")[0] for path in hidden] == [404] * 4


def test_damaged_formats_are_not_served(store, tmp_path):
    assert Published(store.root).formats(1) is not None
    root = shutil.copytree(store.root, tmp_path / "serving")
    damaged = root / "edge" / "1" / "tfjs" / "weights.bin"
    damaged.chmod(0o644)
    damaged.write_bytes(b"other")
    assert Published(root).formats(1) is None


def test_the_pages_modules_come_with_their_types_compressed_and_checked_anew(gateway):
    status, headers, body = gateway.ask("GET", "/static/vendor/tfjs.js", Accept_Encoding="gzip")
    assert status == 200 and headers["content-encoding"] == "gzip" and len(body) < 200_000
    assert headers["content-type"].startswith("text/javascript") and headers["cache-control"] == "no-cache"
    wasm = gateway.ask("GET", "/static/vendor/tfjs-backend-wasm-simd.wasm")[1]
    assert wasm["content-type"] == "application/wasm"
    assert gateway.ask("GET", "/static/vendor/tfjs.js", If_None_Match=headers["etag"])[0] == 304


def test_the_api_describes_the_key_where_one_is_needed(gateway, fake):
    with running(server=fake.grpc, key="correct horse battery") as guarded:
        told = guarded.ask("GET", "/openapi.json")[2]
    assert told["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    for path, verbs in told["paths"].items():
        for verb in verbs.values():
            assert verb.get("security") == ([{"key": []}] if path.startswith("/api/") else None)
    assert "securitySchemes" not in gateway.ask("GET", "/openapi.json")[2]["components"]


def test_requests_are_counted_by_route_and_told_on_lines(gateway):
    gateway.ask("POST", "/api/predict", bytes(784))
    gateway.ask("GET", "/somebody/types/anything")
    gateway.ask("GET", "/static/normalize.js")
    text = gateway.ask("GET", "/metrics")[2].decode()
    assert re.search(r'digits_gateway_requests_total{route="/api/predict",status="200"} \d', text)
    assert re.search(r'digits_gateway_requests_total{route="other",status="404"} \d', text)
    assert 'digits_gateway_digits_total{accepted="false",digit="0"}' in text
    assert "digits_gateway_model_version 1.0" in text
    lines = [each for each in gateway.said if each.get("route") == "/api/predict"]
    assert {"request", "method", "status", "ms", "client"} <= set(lines[-1]) and lines[-1]["status"] == 200
    assert not [each for each in gateway.said if each.get("route") == "/static"]


def test_a_failure_that_nobody_foresaw_is_an_honest_500_and_a_line(fake, monkeypatch):
    with running(server=fake.grpc) as gateway:
        monkeypatch.setattr(gateway.state.about, "describe", lambda: 1 / 0)
        status, _, tree = gateway.ask("GET", "/api/about")
        assert (status, tree["error"]["code"]) == (500, "failed") and "ZeroDivision" not in str(tree)
        line = gateway.line(500)
        assert "ZeroDivisionError" in line["details"]
        assert line["request"] in tree["error"]["message"], "by which the operator finds the line"
