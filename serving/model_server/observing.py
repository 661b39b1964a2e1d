"""What the server counts, under upstream's names, and what to call when something has happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from serving.model_server import schemas, status
from serving.model_server.metrics import Family, Histogram, Registry, exponential
from serving.model_server.status import Status, invalid

PAGE = "/monitoring/prometheus/metrics"
LATENCIES = exponential(10, 1.8, 33)  # microseconds, to about 20 minutes
BATCHING = "/tensorflow/serving/batching_session/"
RUNTIME = "TF1"  # upstream's word for a graph in a session
GRPC, REST = "GRPC", "REST"
# Where the run of the request that is being answered counts. Neither the model nor the run know the request.
RUN: ContextVar[tuple[Family[Histogram], tuple[str, str, str]] | None] = ContextVar("run", default=None)


def page(path: Path) -> str:
    """Where a MonitoringConfig wants the metrics, "" for nowhere. Raises Status."""
    wanted = schemas.read(path, "MonitoringConfig").prometheus_config
    if not wanted.enable:
        return ""
    if wanted.path and not wanted.path.startswith("/"):
        raise invalid(f"{path}: prometheus_config.path is '{wanted.path}'; expected it to begin with /")
    return wanted.path or PAGE


class Observer:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = Registry()
        counter, histogram = self.registry.counter, self.registry.histogram
        own = "/tensorflow/serving/"
        self._requests = counter(own + "request_count", "model_name", "status")
        self._latency = histogram(own + "request_latency", LATENCIES, "model_name", "API", "entrypoint")
        self._runtime = histogram(own + "runtime_latency", LATENCIES, "model_name", "API", "runtime")
        self._examples = histogram(own + "request_example_counts", exponential(1, 2, 15), "model")
        self._all_examples = counter(own + "request_example_count_total", "model")
        self._warm_up = histogram(own + "model_warmup_latency", LATENCIES, "model_path", "status")
        self._records = counter(own + "model_warmup_records_read", "model_path", "status")
        self._logged = counter(own + "request_log_count", "model_name", "status_code")
        self._queuing = histogram(BATCHING + "queuing_latency", exponential(100, 1.2, 52), "thread_pool_name")
        self._wrapped_runs = counter(BATCHING + "wrapped_run_count")

    def began(self, model: str, api: str) -> None:
        """A request is answered in this context from now on. api: Predict, Classify or Regress."""
        RUN.set((self._runtime, (model, api, RUNTIME)))

    def answered(self, model: str, api: str, entrypoint: str, code: int, seconds: float) -> None:
        """A request has ended. model: one of the server's, or "". api: as upstream spells it there."""
        RUN.set(None)
        self._requests.cell(model, status.NAMES[code]).add()
        if code == status.OK:
            self._latency.cell(model, api, entrypoint).add(int(seconds * 1e6))

    def examples(self, model: str, count: int) -> None:
        """A request held so many Examples."""
        self._examples.cell(model).add(count)
        self._all_examples.cell(model).add(count)

    def logged(self, model: str, code: int) -> None:
        """A request was sampled for the log: OK, or why it is not there."""
        self._logged.cell(model, status.NAMES[code]).add()

    def queued(self, pool: str, seconds: float) -> None:
        """A request has waited so long for its batch. pool: thread_pool_name of the batching parameters."""
        self._queuing.cell(pool).add(int(seconds * 1e6))

    def wrapped_run(self) -> None:
        """A batch was run."""
        self._wrapped_runs.cell().add()

    def warmed(self, directory: Path, code: int, records: int, seconds: float) -> None:
        """A version was warmed up, or could not be."""
        self._warm_up.cell(str(directory), status.NAMES[code]).add(int(seconds * 1e6))
        self._records.cell(str(directory), status.NAMES[code]).add(records)


def ran(seconds: float) -> None:
    """The graph was run for the request that is being answered in this context, if one is."""
    found = RUN.get()
    if found is not None:
        family, labels = found
        family.cell(*labels).add(int(seconds * 1e6))


def warming(observer: Observer | None, directory: Path, replay: Callable[[], int]) -> None:
    """Warm a version up: `replay` answers how many records there were. Raises what it raises."""
    if observer is None:
        replay()
        return
    began = time.perf_counter()
    try:
        records = replay()
    except Status as error:
        observer.warmed(directory, error.code, 0, time.perf_counter() - began)
        raise
    if records:
        observer.warmed(directory, status.OK, records, time.perf_counter() - began)
