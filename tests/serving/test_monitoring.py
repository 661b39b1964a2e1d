"""Alert rules and dashboard: every name and label in them is one that the servers publish."""

import json
import re

import pytest
import yaml

from digits import files
from digits_model_server import metrics, status
from serving.app.metrics import Metrics
from tests.contract._graph import ROOT

SERVING = ROOT / "serving"
RULES = [
    rule
    for group in yaml.safe_load((SERVING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = json.loads((SERVING / "dashboard.json").read_text())["panels"]
TARGETS = [target for panel in PANELS for target in panel.get("targets", [])]
WORDS = {"time", "sum", "rate", "increase", "max", "and", "histogram_quantile"}  # of PromQL, as used here


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The labels of every metric, as the pages of a model server and a gateway print them."""
    folder = tmp_path_factory.getbasetemp()
    event = {"name": "not accepted", "group": "answers", "rows": 9, "share": 0.1, "bound": 0.03}
    look = {"at": 1.0, "version": 3, "rows": 9, "alarms": [event], "events": [event], "picture": None}
    look["time"] = "2030-01-31T12:00:00Z"
    files.write_json(folder / "latest.json", look)
    observer, gateway = metrics.Observer(), Metrics(folder / "latest.json")
    current = observer.request_started("digits", "Predict")
    metrics.record_signature("serving_default")
    metrics.record_run(0.001)
    observer.request_ended(current, "digits", "Predict", metrics.GRPC, status.OK, 0.001)
    observer.record_warmup(folder, status.OK, 1, 1.0)
    for metric, labels in [
        (gateway.requests, ("/api/predict", "200")),
        (gateway.digits, ("5", "true")),
        (gateway.corrections, ("new",)),
    ]:
        metric.labels(*labels).inc()
    gateway.seconds.labels("/api/predict").observe(0.1)
    found = {"up": {"job", "instance"}}  # Prometheus's own
    for line in f"{observer.registry.text()}{gateway.text().decode()}".splitlines():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"([\w:]+)(?:\{(.*)\})? \S+", line).groups()
            found[name] = set(re.findall(r'(\w+)="', labels or ""))
    return found


def jobs():
    listed = yaml.safe_load((SERVING / "prometheus.yml").read_text())["scrape_configs"]
    return {job["job_name"] for job in listed}


def check(expression, published):
    """Return the labels that its result may have: those of all its metrics."""
    assert expression.count("(") == expression.count(")")
    plain = re.sub(r'"[^"]*"', '""', expression)
    named = set(re.findall(r"[a-z_:][\w:]*", re.sub(r"\{[^}]*\}|by \([^)]*\)|\[\w+\]", "", plain)))
    named -= WORDS
    assert named and named <= set(published), expression
    for name, selector in re.findall(r"([\w:]+)\{([^}]*)\}", plain):
        assert set(re.findall(r"(\w+)[=!]", selector)) <= published[name], expression
    labels = set().union(*(published[name] for name in named))
    for grouped in re.findall(r"by \(([^)]*)\)", plain):
        assert set(re.split(", ?", grouped)) <= labels, expression
    assert set(re.findall(r'job="([^"]*)"', expression)) <= jobs()
    return labels | {"instance"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_are_published(rule, published):
    labels = check(rule["expr"], published)
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels


def test_prometheus_reads_the_alerts_and_the_run_book_says_what_to_do_about_each():
    config = yaml.safe_load((SERVING / "prometheus.yml").read_text())
    volumes = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    mounted = {volume["source"]: volume["target"] for volume in volumes}
    assert [f"/etc/prometheus/{name}" for name in config["rule_files"]] == [mounted["./alerts.yml"]]
    text = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^\| `([A-Z][A-Za-z]+)` \|", text, re.M) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:60])
def test_a_panel_asks_for_metrics_and_labels_that_are_published(target, published):
    labels = check(target["expr"], published)
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels


def test_the_dashboard_shows_any_prometheus_and_no_panel_lies_on_another():
    assert {panel["datasource"]["uid"] for panel in PANELS if "targets" in panel} == {"${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24
