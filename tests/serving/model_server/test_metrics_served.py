"""A real server that counts, read by the parser of Prometheus's own client."""

import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from serving.model_server import tfrecord
from tests.serving import _models
from tests.serving._server import ROOT, Server, environment

PAGE = "/monitoring/prometheus/metrics"
OWN = ":tensorflow:serving:"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    model = _models.half_plus(base / "half" / "1")
    request = predict_request("half", [[1.0]])
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    (model / "assets.extra").mkdir()
    records = tfrecord.frame(log.SerializeToString()) * 2
    (model / "assets.extra" / "tf_serving_warmup_requests").write_bytes(records)
    flags = [f"--model_base_path={base / 'half'}", "--model_name=half"]
    config = ROOT / "serving" / "monitoring.config"  # the real server's
    with Server(base / "log", *flags, f"--monitoring_config_file={config}") as made:
        made.model = model
        yield made


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.target, options=[("grpc.enable_http_proxy", 0)]) as made:
        yield made


def predict_request(name, rows, signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(rows, np.float32)))
    return request


def predict(channel, name, signature=""):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return stub.Predict(predict_request(name, [[1.0], [2.0]], signature), timeout=20)


def page(server, path=PAGE):
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def values(server):
    """{(name without prefix, sorted labels): value} without the buckets."""
    return {
        (each.name.removeprefix(OWN), *sorted(each.labels.items())): each.value
        for family in text_string_to_metric_families(page(server)[1])
        for each in family.samples
        if not each.name.endswith("_bucket")
    }


def increases(server, act):
    """What `act` adds to the metrics, sums of times left out."""
    before = values(server)
    act()
    after = values(server)
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if value != before.get(key, 0) and not key[0].endswith("_sum")
    }


def test_a_predict_over_grpc_counts_under_upstream_s_labels(server, channel):
    assert increases(server, lambda: predict(channel, "half")) == {
        ("request_count_total", ("model_name", "half"), ("status", "OK")): 1,
        ("request_latency_count", ("API", "Predict"), ("entrypoint", "GRPC"), ("model_name", "half")): 1,
        ("runtime_latency_count", ("API", "Predict"), ("model_name", "half"), ("runtime", "TF1")): 1,
    }


def test_a_predict_over_rest_counts_under_upstream_s_labels(server):
    assert increases(server, lambda: server.rest("/v1/models/half:predict", {"instances": [1.0]})) == {
        ("request_count_total", ("model_name", "half"), ("status", "OK")): 1,
        ("request_latency_count", ("API", "predict"), ("entrypoint", "REST"), ("model_name", "half")): 1,
        ("runtime_latency_count", ("API", "Predict"), ("model_name", "half"), ("runtime", "TF1")): 1,
    }


def test_a_status_over_rest_counts_without_an_api(server):
    assert increases(server, lambda: server.rest("/v1/models/half")) == {
        ("request_count_total", ("model_name", "half"), ("status", "OK")): 1,
        ("request_latency_count", ("API", ""), ("entrypoint", "REST"), ("model_name", "half")): 1,
    }


def test_failures_count_by_their_code(server, channel):
    def fail():
        with pytest.raises(grpc.RpcError):
            predict(channel, "half", "other")
        assert server.rest("/v1/models/half:predict", {"instances": ["x"]})[0] == 400

    count = "request_count_total", ("model_name", "half")
    assert increases(server, fail) == {
        (*count, ("status", "FAILED_PRECONDITION")): 1,
        (*count, ("status", "INVALID_ARGUMENT")): 1,
    }


def test_made_up_models_and_paths_share_a_label(server, channel):
    def fail():
        for number in range(20):
            with pytest.raises(grpc.RpcError):
                predict(channel, f"made-up-{number}")
            assert server.rest(f"/v1/models/other-{number}%0A%22:predict", {"instances": [1.0]})[0] == 404
            assert server.rest(f"/v1/nothing/{number}")[0] == 400
            assert server.rest(f"/beside/{number}")[0] == 404

    count = "request_count_total", ("model_name", "")
    assert increases(server, fail) == {
        (*count, ("status", "NOT_FOUND")): 40,
        (*count, ("status", "INVALID_ARGUMENT")): 20,
    }
    assert "made-up" not in page(server)[1]


def test_the_warm_up_is_there_and_no_request(server):
    labels = ("model_path", str(server.model)), ("status", "OK")
    found = values(server)
    assert found["model_warmup_records_read_total", *labels] == 2
    assert found["model_warmup_latency_count", *labels] == 1


def test_the_page_is_text_that_names_every_metric(server):
    kind, text = page(server)
    assert kind == "text/plain" and text.endswith("\n")
    kinds = dict(line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE"))
    assert {name.removeprefix(OWN): kind for name, kind in kinds.items()} == {
        "batching_session:queuing_latency": "histogram",
        "batching_session:wrapped_run_count": "counter",
        "model_warmup_latency": "histogram",
        "model_warmup_records_read": "counter",
        "request_count": "counter",
        "request_example_count_total": "counter",
        "request_example_counts": "histogram",
        "request_latency": "histogram",
        "request_log_count": "counter",
        "runtime_latency": "histogram",
    }


def test_the_page_with_a_query_is_refused_in_upstream_s_words(server):
    status, said = server.rest(PAGE + "?a=b")
    assert (status, said) == (400, f"Unexpected path: {PAGE}?a=b. Should be {PAGE}")


def test_a_reload_tells_what_it_added_to_the_metrics_it_names(server, channel):
    request = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/none"])
    listed = request.config.model_config_list.config
    listed.add(name="half", base_path=str(server.model.parent), model_platform="tensorflow")
    answer = model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=20)
    assert [(each.name, each.int64_value_increase) for each in answer.metric] == [
        ("/tensorflow/serving/none", 0)
    ]


def test_without_a_config_there_is_no_page(server, tmp_path):
    flags = ["--model_name=half", f"--model_base_path={server.model.parent}"]
    with Server(tmp_path / "log", *flags) as other:
        assert other.rest(PAGE)[0] == 404
        off = tmp_path / "off.config"
        off.write_text("prometheus_config { enable: false }")
    with Server(tmp_path / "log", *flags, f"--monitoring_config_file={off}") as other:
        assert other.rest(PAGE)[0] == 404


def test_a_bad_config_ends_the_start_with_the_reason(server, tmp_path):
    bad = tmp_path / "bad.config"
    bad.write_text('prometheus_config { enable: true path: "metrics" }')
    command = [sys.executable, "-m", "serving.model_server", f"--monitoring_config_file={bad}"]
    command += [f"--model_base_path={server.model.parent}"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60)
    assert ended.returncode == 255 and "expected it to begin with /" in ended.stdout
