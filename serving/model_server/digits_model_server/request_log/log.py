"""Writes sampled requests and their answers to the log files of their models, in a thread of its own.

Answering requests never waits for the disk. What can't be written is dropped, counted, and reported once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from digits_model_server import status
from digits_model_server.metrics import Observer
from digits_model_server.models.config import Logging
from digits_model_server.request_log import records
from digits_model_server.request_log.files import LogFiles, Sink
from digits_model_server.request_log.records import Messages

LOG = logging.getLogger("digits-model-server")
MOST_WAITING = 64 << 20  # bytes of requests and answers waiting to be written
OVERHEAD = 1024  # bytes of memory that even a small one takes
# seconds from the first request to its writing: to wake the thread for each costs more than to write it
GATHER = 0.05
TIDY = 1.0  # seconds between two looks for files that are no longer wanted


class _Settings(Protocol):
    @property
    def logging(self) -> Logging | None: ...


class _Model(Protocol):
    @property
    def settings(self) -> _Settings: ...


class Models(Protocol):
    """The models whose requests are logged, with their current settings."""

    @property
    def models(self) -> Mapping[str, _Model]:
        """The models by name."""
        ...


@dataclass(frozen=True)
class Bounds:
    """Limits on the files of one prefix: bytes of each, and how many are kept."""

    bytes: int
    files: int


@dataclass(frozen=True)
class _Entry:
    api: str
    model: str
    wanted: Logging
    size: int
    messages: Callable[[], Messages]


class RequestLog:
    """The request log of one server."""

    def __init__(
        self,
        of: Models,
        bounds: Bounds,
        tags: Sequence[str] = (),
        observer: Observer | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """tags: of the SavedModels. chance: draws from [0, 1); less than the sampling rate is logged."""
        self._of, self._bounds, self._tags, self._observer, self._chance = of, bounds, tags, observer, chance
        self._waiting: deque[_Entry] = deque()
        self._bytes = self._lost = 0
        self._changed = threading.Condition()  # guards these
        self._stopping = False
        self._sinks: dict[str, Sink] = {}  # the thread's own
        self._thread: threading.Thread | None = None

    def sample(self, model: str) -> Logging | None:
        """Decide at random whether to log a request to this model; return how, None for not at all."""
        known = self._of.models.get(model)
        wanted = known.settings.logging if known else None
        return wanted if wanted and self._chance() < wanted.rate else None

    def record(self, api: str, request: Any, response: Any) -> None:
        """Log an answered request if it is sampled. Neither message may change from now on."""
        model = records.spec_of(api, request).name
        if wanted := self.sample(model):
            size = request.ByteSize() + response.ByteSize()
            self.put(api, model, wanted, size, lambda: (request, response))

    def put(self, api: str, model: str, wanted: Logging, size: int, messages: Callable[[], Messages]) -> None:
        """Queue a sampled request for writing. size: bytes of memory that it holds until then."""
        with self._changed:
            full = self._waiting and self._bytes + size + OVERHEAD > MOST_WAITING
            if not full and not self._stopping and self._runs():
                if not self._waiting:
                    self._changed.notify()
                self._waiting.append(_Entry(api, model, wanted, size + OVERHEAD, messages))
                self._bytes += size + OVERHEAD
                return
            self._lost += 1
            first = self._lost == 1
        self._count(model, status.RESOURCE_EXHAUSTED)
        if first:
            LOG.warning("the request log can't keep up: requests are not logged until it does")

    def close(self, seconds: float) -> None:
        """Write what is queued, for so many seconds at most."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread:
            self._thread.join(seconds)
        if self._waiting:
            LOG.warning("the request log ends without the last %d requests", len(self._waiting))

    def _runs(self) -> bool:
        """Return whether the thread runs; it is started for the first request that is sampled."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="request-log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the process may start no more threads
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        tidied = time.monotonic()
        while (entry := self._next()) is not _END:
            if entry is not None:
                self._count(entry.model, self._write(entry))
            if time.monotonic() - tidied >= TIDY:
                self._tidy()
                tidied = time.monotonic()
        for sink in self._sinks.values():
            sink.close()

    def _next(self) -> Any:
        """Return an entry; None from time to time, as long as files are open; _END at the end."""
        with self._changed:
            if not self._waiting and self._lost:
                LOG.warning("the request log keeps up again; %d requests are missing", self._lost)
                self._lost = 0
            if not self._waiting and not self._stopping:
                self._changed.wait(TIDY if self._sinks else None)
                self._changed.wait_for(lambda: self._stopping, GATHER)
            if self._waiting:
                entry = self._waiting.popleft()
                self._bytes -= entry.size
                return entry
            return _END if self._stopping else None

    def _write(self, entry: _Entry) -> int:
        prefix = entry.wanted.prefix
        if prefix not in self._sinks:
            files = LogFiles(prefix, self._bounds.bytes, self._bounds.files)
            self._sinks[prefix] = Sink(prefix, files)
        try:
            record = records.serialize(entry.api, entry.messages(), entry.wanted.rate, self._tags)
            return self._sinks[prefix].write(record)
        except Exception:  # a thread that ends would log nothing any more
            LOG.exception("a request could not be logged")
            return status.INTERNAL

    def _tidy(self) -> None:
        """Close the files of prefixes under which no model is logged any more."""
        wanted = {each.settings.logging for each in list(self._of.models.values())}
        for prefix in set(self._sinks) - {each.prefix for each in wanted if each}:
            self._sinks.pop(prefix).close()

    def _count(self, model: str, code: int) -> None:
        if self._observer:
            self._observer.count_logged(model, code)


_END = object()
