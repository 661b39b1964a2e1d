"""The server's metrics under upstream's names, in Prometheus' text format, and the Observer that counts them.

Every thread counts in a shard of its own, so counting takes no lock; prometheus-client takes one at every
count, appends `_total` to a counter's name, and counts a value that equals a limit below it. The ident of a
thread that has ended goes to a later one, and its shard with it: there are about as many shards as threads at
a time.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Generic, TypeVar

from digits_model_server import protos, status
from digits_model_server.status import Status, invalid


class Counter:
    """A count that only grows."""

    def __init__(self) -> None:
        self._shards: dict[int, list[int]] = {}

    def add(self, count: int = 1) -> None:
        """Add to the count."""
        ident = get_ident()
        shard = self._shards.get(ident)
        if shard is None:
            shard = self._shards[ident] = [0]
        shard[0] += count

    @property
    def value(self) -> int:
        """The count."""
        return sum(shard[0] for shard in list(self._shards.values()))

    def lines(self, name: str, labels: str) -> list[str]:
        """Return its lines in Prometheus' text format."""
        return [f"{name}{{{labels}}} {self.value}"]


class Histogram:
    """Counts of values in buckets, and their sum.

    As upstream, a value that equals a limit counts above it.
    """

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._shards: dict[int, list[float]] = {}  # a count per bucket, then the sum

    def add(self, value: float) -> None:
        """Count a value."""
        ident = get_ident()
        shard = self._shards.get(ident)
        if shard is None:
            shard = self._shards[ident] = [0] * (len(self._limits) + 2)
        shard[bisect_right(self._limits, value)] += 1
        shard[-1] += value

    @property
    def value(self) -> int:
        """0: upstream reports every metric as a whole number, and a histogram has none."""
        return 0

    def lines(self, name: str, labels: str) -> list[str]:
        """Return its lines in Prometheus' text format."""
        shards = [*self._shards.values(), [0.0] * (len(self._limits) + 2)]
        columns = [sum(column) for column in zip(*shards, strict=True)]
        count, said = 0, []
        before = f"{labels}," if labels else ""
        for limit, more in zip([*(f"{limit:g}" for limit in self._limits), "+Inf"], columns, strict=False):
            count += int(more)
            said.append(f'{name}_bucket{{{before}le="{limit}"}} {count}')
        return [*said, f"{name}_sum{{{labels}}} {columns[-1]:.17g}", f"{name}_count{{{labels}}} {count}"]


Cell = TypeVar("Cell", Counter, Histogram)


class Family(Generic[Cell]):
    """A metric: one cell for each combination of its labels' values."""

    def __init__(self, name: str, kind: str, labels: Sequence[str], make: Callable[[], Cell]) -> None:
        self.name, self._kind, self._labels = name, kind, labels
        self._make: Callable[[], Cell] = make
        self._cells: dict[tuple[str, ...], Cell] = {}

    def cell(self, *values: str) -> Cell:
        """Return the cell of these label values, given in the labels' order."""
        found = self._cells.get(values)
        return self._cells.setdefault(values, self._make()) if found is None else found

    @property
    def value(self) -> int:
        """The value of the first cell, which upstream reports for a metric named in a reload; 0 without a
        cell.
        """
        return next((cell.value for cell in list(self._cells.values())), 0)

    def lines(self) -> list[str]:
        """Return its lines in Prometheus' text format."""
        name = _name(self.name)
        said = [f"# TYPE {name} {self._kind}"]
        for values, cell in sorted(self._cells.copy().items()):
            pairs = zip(self._labels, values, strict=True)
            said += cell.lines(name, ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs))
        return said


class Registry:
    """All metrics of a process."""

    def __init__(self) -> None:
        self._families: dict[str, Family[Counter] | Family[Histogram]] = {}

    def counter(self, name: str, *labels: str) -> Family[Counter]:
        """Add a counter. name: upstream's internal one, `/tensorflow/serving/…`."""
        made = Family(name, "counter", labels, Counter)
        self._families[name] = made
        return made

    def histogram(self, name: str, limits: Sequence[float], *labels: str) -> Family[Histogram]:
        """Add a histogram. limits: the upper bounds of its buckets."""
        made = Family(name, "histogram", labels, lambda: Histogram(limits))
        self._families[name] = made
        return made

    def value(self, name: str) -> int:
        """Return the count of a metric's first cell; 0 for an unknown metric."""
        return self._families[name].value if name in self._families else 0

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return "\n".join(line for _, each in sorted(self._families.items()) for line in each.lines()) + "\n"


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Return the limits of `count` buckets, each `growth` times the one before."""
    limits = [scale]
    while len(limits) < count:
        limits.append(limits[-1] * growth)
    return tuple(limits)


def _name(name: str) -> str:
    spelt = re.sub("[^a-zA-Z0-9_]", ":", name)
    return f"_{spelt}" if spelt[:1].isdigit() else spelt


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


DEFAULT_PATH = "/monitoring/prometheus/metrics"
LATENCIES = exponential(10, 1.8, 33)  # microseconds, to about 20 minutes
BATCHING = "/tensorflow/serving/batching_session/"
RUNTIME = "TF1"  # upstream's word for a graph in a session
GRPC, REST = "GRPC", "REST"
SIGNATURES = "/digits_model_server/signature_"  # upstream counts nothing by signature


@dataclass(slots=True)
class Current:
    """A request that is being answered.

    runtime, labels: where the runs of the graph for it count. signature: its name, once it is known to exist.
    """

    runtime: Family[Histogram]
    labels: tuple[str, str, str]
    signature: str | None = None


# The request of this context. Neither the model nor the run know it.
CURRENT: ContextVar[Current | None] = ContextVar("current", default=None)


def configured_path(path: Path) -> str:
    """Return the URL path that a MonitoringConfig file gives the metrics, "" for none. Raises Status."""
    wanted = protos.read(path, "MonitoringConfig").prometheus_config
    if not wanted.enable:
        return ""
    if wanted.path and not wanted.path.startswith("/"):
        raise invalid(f"{path}: prometheus_config.path is '{wanted.path}'; expected it to begin with /")
    return wanted.path or DEFAULT_PATH


class Observer:
    """Counts what the server does: one object for all its models and both ports."""

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
        self._by_signature = counter(SIGNATURES + "request_count", "model_name", "signature_name", "status")
        self._signature_latency = histogram(
            SIGNATURES + "request_latency", LATENCIES, "model_name", "signature_name"
        )

    def request_started(self, model: str, api: str) -> Current:
        """Return the request that this context answers from now on. api: Predict, Classify or Regress."""
        current = Current(self._runtime, (model, api, RUNTIME))
        CURRENT.set(current)
        return current

    def request_ended(
        self, current: Current, model: str, api: str, entrypoint: str, code: int, seconds: float
    ) -> None:
        """Count a request.

        model: one of the server's, or "". api: spelt as upstream spells it for this entrypoint.
        """
        CURRENT.set(None)
        name, micros = status.NAMES[code], int(seconds * 1e6)
        self._requests.cell(model, name).add()
        if code == status.OK:
            self._latency.cell(model, api, entrypoint).add(micros)
        if current.signature is not None:
            self._by_signature.cell(model, current.signature, name).add()
            if code == status.OK:
                self._signature_latency.cell(model, current.signature).add(micros)

    def count_examples(self, model: str, count: int) -> None:
        """Count the Examples of a request."""
        self._examples.cell(model).add(count)
        self._all_examples.cell(model).add(count)

    def count_logged(self, model: str, code: int) -> None:
        """Count a request that was sampled for the log. code: OK, or why it could not be written."""
        self._logged.cell(model, status.NAMES[code]).add()

    def record_queuing(self, pool: str, seconds: float) -> None:
        """Record how long a request waited for its batch.

        pool: thread_pool_name of the batching parameters.
        """
        self._queuing.cell(pool).add(int(seconds * 1e6))

    def count_run(self) -> None:
        """Count a batch that was run."""
        self._wrapped_runs.cell().add()

    def record_warmup(self, directory: Path, code: int, records: int, seconds: float) -> None:
        """Record the warm-up of a version. code: OK, or why it failed."""
        self._warm_up.cell(str(directory), status.NAMES[code]).add(int(seconds * 1e6))
        self._records.cell(str(directory), status.NAMES[code]).add(records)


def record_signature(name: str) -> None:
    """Record which signature the request of this context is for, if there is one: one that its model has."""
    current = CURRENT.get()
    if current is not None:
        current.signature = name


def record_run(seconds: float) -> None:
    """Record a run of the graph for the request that this context answers, if there is one."""
    current = CURRENT.get()
    if current is not None:
        current.runtime.cell(*current.labels).add(int(seconds * 1e6))


def time_warmup(observer: Observer | None, directory: Path, replay: Callable[[], int]) -> None:
    """Warm a version up by `replay`, which returns the number of records, and record how long it took. Raises
    what it raises.
    """
    if observer is None:
        replay()
        return
    began = time.perf_counter()
    try:
        records = replay()
    except Status as error:
        observer.record_warmup(directory, error.code, 0, time.perf_counter() - began)
        raise
    if records:
        observer.record_warmup(directory, status.OK, records, time.perf_counter() - began)
