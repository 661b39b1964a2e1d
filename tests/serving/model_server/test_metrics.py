import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.model_server.metrics import Registry, exponential


def samples(text):
    """(name, labels, value) of each line, by the parser of Prometheus's own client."""
    return [
        (each.name, dict(each.labels), each.value)
        for family in text_string_to_metric_families(text)
        for each in family.samples
    ]


def test_a_histogram_reads_as_upstream_s_does():
    registry = Registry()
    cell = registry.histogram("/test/path/histogram", exponential(1, 2, 10), "status").cell("good")
    for value in (2, 20, 200):
        cell.add(value)
    assert registry.text().splitlines() == [
        "# TYPE :test:path:histogram histogram",
        *(
            f':test:path:histogram_bucket{{status="good",le="{limit}"}} {count}'
            for limit, count in zip(
                [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, "+Inf"],
                [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
                strict=True,
            )
        ),
        ':test:path:histogram_sum{status="good"} 222',
        ':test:path:histogram_count{status="good"} 3',
    ]
    assert registry.text().endswith("\n")


def test_limits_are_spelt_with_six_digits():
    registry = Registry()
    registry.histogram("/h", exponential(10, 1.8, 33)).cell().add(1)
    limits = [labels["le"] for name, labels, _ in samples(registry.text()) if name.endswith("_bucket")]
    assert limits[:6] == ["10", "18", "32.4", "58.32", "104.976", "188.957"] and len(limits) == 34
    assert limits[-2:] == ["1.47476e+09", "+Inf"]


@pytest.mark.parametrize("value", ['"abc\\"', "two\nlines", "größer", "a\\nb"])
def test_any_value_of_a_label_comes_back_from_a_parser(value):
    registry = Registry()
    registry.counter("0/path-total_count", "name").cell(value).add(2)
    assert registry.text().startswith("# TYPE _0:path:total_count counter\n_0:path:total_count{name=")
    assert samples(registry.text())[0][1:] == ({"name": value}, 2)


def test_a_metric_without_a_cell_is_named_and_metrics_are_sorted():
    registry = Registry()
    registry.counter("/b")
    registry.counter("/a").cell().add()
    assert registry.text() == "# TYPE :a counter\n:a{} 1\n# TYPE :b counter\n"
    assert (registry.value("/a"), registry.value("/b"), registry.value("/none")) == (1, 0, 0)


def test_threads_that_count_at_once_lose_nothing():
    registry = Registry()
    counters, histograms = registry.counter("/c", "of"), registry.histogram("/h", (1.0, 10.0), "of")

    def work():
        for turn in range(20_000):
            counters.cell("all").add()
            histograms.cell("all").add(turn % 3)

    for _ in range(3):  # later threads take over the idents of those that have ended
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            registry.text()
        for thread in threads:
            thread.join()
    found = {name: value for name, labels, value in samples(registry.text()) if "le" not in labels}
    assert found[":c_total"] == found[":h_count"] == 240_000
    assert found[":h_sum"] == 12 * sum(turn % 3 for turn in range(20_000))
