"""Counts and durations for Prometheus, in a registry of the gateway's own, and what monitoring last found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from digits.runtime.errors import DataError
from serving.monitoring import record

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters, gauges and histograms of one gateway."""

    def __init__(self, monitoring: Path | None = None) -> None:
        """monitoring: the report of the last look, where there is one."""
        self.registry = CollectorRegistry()
        if monitoring is not None:
            self.registry.register(_Monitoring(monitoring))
        own = {"namespace": "digits_gateway", "registry": self.registry}
        self.requests = Counter("requests", "Answered requests.", ["route", "status"], **own)  # type: ignore[arg-type]
        self.seconds = Histogram(
            "request_seconds",
            "From the request's head to the answer's end.",
            ["route"],
            buckets=SECONDS,
            **own,  # type: ignore[arg-type]
        )
        self.under_way = Gauge("requests_under_way", "Requests that have no answer yet.", **own)  # type: ignore[arg-type]
        self.digits = Counter("digits", "Digits that were read.", ["digit", "accepted"], **own)  # type: ignore[arg-type]
        self.corrections = Counter("corrections", "Corrections that were taken.", ["state"], **own)  # type: ignore[arg-type]
        self.model = Gauge("model_version", "The version in service; 0: none answers.", **own)  # type: ignore[arg-type]
        self.refused = Counter("connections_refused", "Connections closed as too many.", **own)  # type: ignore[arg-type]
        self.dropped = Gauge("log_dropped", "Entries that the request log could not keep.", **own)  # type: ignore[arg-type]

    def text(self) -> bytes:
        """The metrics page."""
        return generate_latest(self.registry)


class _Monitoring(Collector):
    """What the last look of `digits monitor` found, read anew for each scrape; nothing before the first."""

    def __init__(self, report: Path) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        try:
            latest = record.latest(self._report)
        except DataError:  # `MonitorSilent` of serving/alerts.yml tells of it
            return
        if latest is None:
            return
        told = "When `digits monitor` last looked, in unix seconds."
        yield GaugeMetricFamily("digits_monitor_looked_seconds", told, value=latest["at"])
        rows = "Rows of the request logs in the last look."
        yield GaugeMetricFamily("digits_monitor_rows", rows, value=latest["rows"])
        alarms = GaugeMetricFamily("digits_monitor_alarms", "Alarms that stand.", labels=["group"])
        raised = [alarm["group"] for alarm in latest["alarms"]]
        for group in sorted({event["group"] for event in latest["events"]}):
            alarms.add_metric([group], raised.count(group))
        yield alarms
        names = ["event", "group"]
        shares = GaugeMetricFamily("digits_monitor_share", "Share of rows that show an event.", labels=names)
        bounds = GaugeMetricFamily("digits_monitor_bound", "The bound of that share.", labels=names)
        for event in latest["events"]:
            labels = [event["name"], event["group"]]
            bounds.add_metric(labels, event["bound"])
            if event["share"] is not None:
                shares.add_metric(labels, event["share"])
        yield from (shares, bounds)

    def describe(self) -> Iterable[Metric]:
        """None yet, so that a registry does not read the file to know the names."""
        return ()
