import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import inference_pb2

from serving.model_server import metrics, status
from serving.model_server.event_loop import run_blocking
from serving.model_server.grpc.service import Method
from serving.model_server.metrics import Observer
from serving.model_server.middleware import with_metrics
from serving.model_server.status import Status
from tests.serving._server import ROOT
from tests.serving.model_server._calls import REGRESS, examples, tasks


def written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
        ('prometheus_config { path: "/metrics" }', ""),
        ("", ""),
    ],
)
def test_a_config_says_where_the_page_is(tmp_path, text, expected):
    assert metrics.configured_path(written(tmp_path / "monitoring.config", text)) == expected


def test_the_real_server_s_config_is_read():
    assert metrics.configured_path(ROOT / "serving" / "monitoring.config") == "/monitoring/prometheus/metrics"
    scraped = (ROOT / "serving" / "prometheus.yml").read_text()
    assert "metrics_path: /monitoring/prometheus/metrics" in scraped


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prometheus_config {", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
        ("nonsense: 1", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
        ('prometheus_config { enable: true path: "metrics" }', "is 'metrics'; expected it to begin with /"),
    ],
)
def test_a_bad_config_is_refused_with_the_reason(tmp_path, text, said):
    with pytest.raises(Status, match=re.escape(said)) as caught:
        metrics.configured_path(written(tmp_path / "monitoring.config", text))
    assert caught.value.code == status.INVALID_ARGUMENT


def lines(observer, name):
    return [line for line in observer.registry.text().splitlines() if line.startswith(f":tensorflow:{name}")]


def test_a_batch_is_counted_by_its_author():
    observer = Observer()
    observer.record_queuing("batches", 0.00011)
    observer.count_run()
    name = "serving:batching_session:"
    assert lines(observer, name + "wrapped_run_count") == [f":tensorflow:{name}wrapped_run_count{{}} 1"]
    waited = lines(observer, name + "queuing_latency")
    assert waited[:2] == [
        f':tensorflow:{name}queuing_latency_bucket{{thread_pool_name="batches",le="{le}"}} {count}'
        for le, count in (("100", 0), ("120", 1))
    ]
    assert len(waited) == 53 + 2 and waited[-1].endswith("} 1")


@pytest.mark.parametrize("name", ["request_latency", "runtime_latency", "model_warmup_latency"])
def test_latencies_are_counted_in_upstream_s_buckets_of_microseconds(tmp_path, name):
    observer = Observer()
    observer.request_started("m", "Predict")
    metrics.record_run(0.00002)
    observer.request_ended("m", "Predict", metrics.GRPC, status.OK, 0.00002)
    observer.record_warmup(tmp_path, status.OK, 1, 0.00002)
    buckets = [line for line in lines(observer, f"serving:{name}") if "_bucket{" in line]
    assert len(buckets) == 34
    assert [line.partition('le="')[2] for line in buckets[:4]] == [
        '10"} 0',
        '18"} 0',
        '32.4"} 1',
        '58.32"} 1',
    ]


def test_examples_are_counted_by_the_model_of_the_first_task():
    observer = Observer()

    async def answer(request, response, seconds):
        pass

    method = Method(answer, inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse)
    (counting,) = with_metrics({"/x/MultiInference": method}, observer, bool).values()
    request = tasks(("m", "a", REGRESS), ("m", "b", REGRESS), sent=examples(1.0, 2.0, 3.0))
    run_blocking(counting.answer(request, inference_pb2.MultiInferenceResponse(), None))
    name = ":tensorflow:serving:request_example_count"
    assert f'{name}_total{{model="m"}} 3' in lines(observer, "serving:request_example_count_total")
    assert f'{name}s_sum{{model="m"}} 3' in lines(observer, "serving:request_example_counts")


def test_a_warm_up_is_counted_with_its_outcome(tmp_path):
    observer = Observer()

    def broken():
        raise Status(status.DATA_LOSS, "truncated record at 0")

    metrics.time_warmup(observer, tmp_path / "1", lambda: 3)
    metrics.time_warmup(observer, tmp_path / "2", lambda: 0)  # without a file there is nothing to count
    with pytest.raises(Status):
        metrics.time_warmup(observer, tmp_path / "3", broken)
    name = ":tensorflow:serving:model_warmup_records_read"
    assert lines(observer, "serving:model_warmup_records_read") == [
        f'{name}{{model_path="{tmp_path / "1"}",status="OK"}} 3',
        f'{name}{{model_path="{tmp_path / "3"}",status="DATA_LOSS"}} 0',
    ]


def test_a_run_counts_for_the_request_around_it_only():
    observer = Observer()
    metrics.record_run(0.5)  # of a warm-up
    observer.request_started("m", "Predict")
    metrics.record_run(0.5)
    observer.request_ended("m", "predict", metrics.REST, status.OK, 0.6)
    metrics.record_run(0.5)
    (family,) = (
        each
        for each in text_string_to_metric_families(observer.registry.text())
        if each.name == ":tensorflow:serving:runtime_latency"
    )
    (count,) = (each for each in family.samples if each.name.endswith("_count"))
    assert (count.labels, count.value) == ({"model_name": "m", "API": "Predict", "runtime": "TF1"}, 1)
