"""A real server that counts, read by the parser of Prometheus's own client."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests._project import ROOT
from tests.serving import _models
from tests.serving._server import Server
from tests.serving.model_server._calls import connected, predict, prediction, refused, reload, settings, stub
from tests.serving.model_server.rest._http import ask

PAGE = "/monitoring/prometheus/metrics"
OWN = ":tensorflow:serving:"
SIGNATURE = ":digits_model_server:signature_"  # upstream has none by signature


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    model = _models.half_plus(base / "half" / "1")
    _models.warm_up(model, *[prediction("half", {"x": [[1.0]]})] * 2)
    flags = [f"--model_base_path={base / 'half'}", "--model_name=half"]
    config = ROOT / "serving" / "monitoring.config"  # the real server's
    with Server(base / "log", *flags, f"--monitoring_config_file={config}") as made:
        made.model = model
        yield made


@pytest.fixture(scope="module")
def client(server):
    with stub(server) as made:
        yield made


def values(server):
    """{(name without prefix, sorted labels): value} without the buckets."""
    return {
        (each.name.removeprefix(OWN), *sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(ask(server, "GET", PAGE)[2].decode())
        for each in family.samples
        if not each.name.endswith("_bucket")
    }


def increases(server, act):
    """What `act` adds to the metrics, sums of times left out."""
    before = values(server)
    act()
    return {
        key: value - before.get(key, 0)
        for key, value in values(server).items()
        if value != before.get(key, 0) and not key[0].endswith("_sum")
    }


@pytest.mark.parametrize(
    ("entrypoint", "api"), [("GRPC", "Predict"), ("REST", "predict"), ("REST", "")], ids=str
)
def test_a_request_counts_under_upstream_s_labels(server, client, entrypoint, api):
    def act():
        if api == "Predict":
            predict(client, "half", {"x": [1.0, 2.0]})
        else:
            path = f"/v1/models/half{api and ':'}{api}"
            assert server.rest(path, {"instances": [1.0]} if api else None)[0] == 200

    model = ("model_name", "half")
    expected = {
        ("request_count_total", model, ("status", "OK")): 1,
        ("request_latency_count", ("API", api), ("entrypoint", entrypoint), model): 1,
    }
    if api:
        expected["runtime_latency_count", ("API", "Predict"), model, ("runtime", "TF1")] = 1
        signature = ("signature_name", "serving_default")
        expected[f"{SIGNATURE}request_count_total", model, signature, ("status", "OK")] = 1
        expected[f"{SIGNATURE}request_latency_count", model, signature] = 1
    assert increases(server, act) == expected


def test_failures_count_by_their_code_and_made_up_models_and_paths_share_a_label(server, client):
    def fail():
        for name, signature in [("half", "other"), *((f"made-up-{number}", "") for number in range(20))]:
            refused(predict, client, name, {"x": [1.0]}, signature)
        assert server.rest("/v1/models/half:predict", {"instances": ["x"]})[0] == 400
        assert server.rest("/v1/models/half:predict", {"instances": [1], "signature_name": "o"})[0] == 400
        for number in range(20):
            assert server.rest(f"/v1/models/other-{number}%0A%22:predict", {"instances": [1.0]})[0] == 404
            assert server.rest(f"/v1/nothing/{number}")[0] == 400
            assert server.rest(f"/beside/{number}")[0] == 404

    half, other, signature = ("model_name", "half"), ("model_name", ""), ("signature_name", "serving_default")
    invalid = ("status", "INVALID_ARGUMENT")
    assert increases(server, fail) == {
        ("request_count_total", half, ("status", "FAILED_PRECONDITION")): 1,
        ("request_count_total", half, invalid): 2,
        (f"{SIGNATURE}request_count_total", half, signature, invalid): 1,
        ("request_count_total", other, ("status", "NOT_FOUND")): 40,
        ("request_count_total", other, invalid): 20,
    }
    assert b"made-up" not in ask(server, "GET", PAGE)[2]


def test_the_warm_up_is_there_and_no_request(server):
    labels = ("model_path", str(server.model)), ("status", "OK")
    found = values(server)
    assert found["model_warmup_records_read_total", *labels] == 2
    assert found["model_warmup_latency_count", *labels] == 1


def test_the_page_is_text_that_names_every_metric(server):
    _, headers, text = ask(server, "GET", PAGE)
    assert headers["Content-Type"] == "text/plain" and text.endswith(b"\n")
    kinds = dict(line.split()[2:] for line in text.decode().splitlines() if line.startswith("# TYPE"))
    histograms = f"""
        {SIGNATURE}request_latency batching_session:queuing_latency model_warmup_latency
        request_example_counts request_latency runtime_latency
    """
    counters = f"""
        {SIGNATURE}request_count batching_session:wrapped_run_count model_warmup_records_read
        request_count request_example_count_total request_log_count
    """
    expected = dict.fromkeys(histograms.split(), "histogram") | dict.fromkeys(counters.split(), "counter")
    assert {name.removeprefix(OWN): kind for name, kind in kinds.items()} == expected
    said = f"Unexpected path: {PAGE}?a=b. Should be {PAGE}"
    assert server.rest(PAGE + "?a=b") == (400, said), "in upstream's words"


def test_a_reload_tells_what_it_added_to_the_metrics_it_names(server):
    none, config = "/tensorflow/serving/none", settings({"half": server.model.parent})
    with connected(server) as channel:
        found = reload(channel, config, metric_names=[none]).metric
    assert [(each.name, each.int64_value_increase) for each in found] == [(none, 0)]


def test_without_a_config_that_turns_it_on_there_is_no_page(server, launch, tmp_path):
    off = tmp_path / "off.config"
    off.write_text("prometheus_config { enable: false }")
    with launch(server.model.parent, f"--monitoring_config_file={off}") as other:
        assert other.rest(PAGE)[0] == 404
