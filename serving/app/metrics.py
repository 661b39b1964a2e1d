"""Counts and durations for Prometheus, in a registry of the gateway's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters, gauges and histograms of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
