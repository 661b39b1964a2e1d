import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import inference_pb2

from digits_model_server import metrics, status
from digits_model_server.event_loop import run_blocking
from digits_model_server.grpc.service import Method
from digits_model_server.metrics import Observer, Registry, exponential
from digits_model_server.middleware import with_metrics
from digits_model_server.status import Status
from tests.serving.model_server._calls import REGRESS, examples, tasks


def samples(registry):
    """(name, labels, value) of each line, by the parser of Prometheus's own client."""
    families = text_string_to_metric_families(registry.text())
    return [(each.name, dict(each.labels), each.value) for family in families for each in family.samples]


def test_a_histogram_reads_as_upstream_s_does_and_metrics_are_sorted():
    registry = Registry()
    registry.counter("/z")
    cell = registry.histogram("/test/path/histogram", exponential(1, 2, 4), "status").cell("good")
    for value in (2, 5, 20):
        cell.add(value)
    assert registry.text() == (
        "# TYPE :test:path:histogram histogram\n"
        ':test:path:histogram_bucket{status="good",le="1"} 0\n'
        ':test:path:histogram_bucket{status="good",le="2"} 0\n'
        ':test:path:histogram_bucket{status="good",le="4"} 1\n'
        ':test:path:histogram_bucket{status="good",le="8"} 2\n'
        ':test:path:histogram_bucket{status="good",le="+Inf"} 3\n'
        ':test:path:histogram_sum{status="good"} 27\n'
        ':test:path:histogram_count{status="good"} 3\n'
        "# TYPE :z counter\n"
    )


@pytest.mark.parametrize("value", ['"abc\\"', "two\nlines", "größer", "a\\nb"])
def test_any_value_of_a_label_comes_back_from_a_parser(value):
    registry = Registry()
    registry.counter("0/path-total_count", "name").cell(value).add(2)
    assert registry.text().startswith("# TYPE _0:path:total_count counter\n_0:path:total_count{name=")
    assert samples(registry)[0][1:] == ({"name": value}, 2)


def test_threads_that_count_at_once_lose_nothing():
    registry = Registry()
    counters, histograms = registry.counter("/c", "of"), registry.histogram("/h", (1.0, 10.0), "of")

    def work():
        for turn in range(5_000):
            counters.cell("all").add()
            histograms.cell("all").add(turn % 3)

    for _ in range(3):  # later threads take over the idents of those that have ended
        with ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work) for _ in range(4)]
            while not all(each.done() for each in working):
                registry.text()
    found = {name: value for name, labels, value in samples(registry) if "le" not in labels}
    assert found[":c_total"] == found[":h_count"] == 60_000
    assert found[":h_sum"] == 12 * sum(turn % 3 for turn in range(5_000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
        ('prometheus_config { path: "/metrics" }', ""),
        ("", ""),
        ("nonsense: 1", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
        ('prometheus_config { enable: true path: "metrics" }', "is 'metrics'; expected it to begin with /"),
    ],
)
def test_a_config_says_where_the_page_is_or_is_refused_with_the_reason(tmp_path, text, expected):
    path = tmp_path / "monitoring.config"
    path.write_text(text)
    if " " in expected:
        with pytest.raises(Status, match=f"INVALID_ARGUMENT.*{re.escape(expected)}"):
            metrics.configured_path(path)
    else:
        assert metrics.configured_path(path) == expected


def lines(observer, name):
    """What follows a metric's name in each of its lines."""
    return re.findall(f"^:tensorflow:serving:{name}(.*)", observer.registry.text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["request_latency", "runtime_latency", "model_warmup_latency"])
def test_latencies_are_counted_in_upstream_s_buckets_of_microseconds(tmp_path, name):
    observer = Observer()
    current = observer.request_started("m", "Predict")
    metrics.record_run(0.00002)
    observer.request_ended(current, "m", "Predict", metrics.GRPC, status.OK, 0.00002)
    observer.record_warmup(tmp_path, status.OK, 1, 0.00002)
    buckets = [line.partition('le="')[2] for line in lines(observer, name) if "_bucket{" in line]
    assert buckets[:4] == ['10"} 0', '18"} 0', '32.4"} 1', '58.32"} 1']
    assert buckets[-2:] == ['1.47476e+09"} 1', '+Inf"} 1'] and len(buckets) == 34


def test_examples_are_counted_by_the_model_of_the_first_task():
    observer = Observer()

    async def answer(request, response, seconds):
        pass

    method = Method(answer, inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse)
    (counting,) = with_metrics({"/x/MultiInference": method}, observer, bool).values()
    request = tasks(("m", "a", REGRESS), ("m", "b", REGRESS), sent=examples(1.0, 2.0, 3.0))
    run_blocking(counting.answer(request, inference_pb2.MultiInferenceResponse(), None))
    assert '_total{model="m"} 3' in lines(observer, "request_example_count")
    assert '_sum{model="m"} 3' in lines(observer, "request_example_counts")


def test_a_warm_up_is_counted_with_its_outcome(tmp_path):
    observer = Observer()

    def broken():
        raise Status(status.DATA_LOSS, "truncated record at 0")

    metrics.time_warmup(observer, tmp_path / "1", lambda: 3)
    metrics.time_warmup(observer, tmp_path / "2", lambda: 0)  # without a file there is nothing to count
    with pytest.raises(Status):
        metrics.time_warmup(observer, tmp_path / "3", broken)
    assert lines(observer, "model_warmup_records_read") == [
        f'{{model_path="{tmp_path / "1"}",status="OK"}} 3',
        f'{{model_path="{tmp_path / "3"}",status="DATA_LOSS"}} 0',
    ]


def test_a_run_counts_for_the_request_around_it_only():
    observer = Observer()
    metrics.record_run(0.5)  # of a warm-up
    current = observer.request_started("m", "Predict")
    metrics.record_run(0.5)
    observer.request_ended(current, "m", "predict", metrics.REST, status.OK, 0.6)
    metrics.record_run(0.5)
    counts = [line for line in lines(observer, "runtime_latency") if line.startswith("_count")]
    assert counts == ['_count{model_name="m",API="Predict",runtime="TF1"} 1']
