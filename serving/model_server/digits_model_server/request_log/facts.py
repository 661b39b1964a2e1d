"""The facts log: what a function makes of answered requests, and the status of failed ones, as JSON lines.

The function is the operator's, `--facts_function=module:name`. It gets the signature's name and the arrays of
a request and of its answer, by alias, and returns a row of plain values for each of as many of its images or
whatever they are as it likes. So a log can tell how requests change without holding what people sent.

It runs in a thread of the log's own. Requests are answered whatever it does: above a rate, which counts rows
and the time that the function takes, they are left out; the next row tells how many were, as `skipped`.
"""

from __future__ import annotations

import importlib
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_model_server import status
from digits_model_server.inference import examples
from digits_model_server.request_log.files import LINES, LogFiles, Sink
from digits_model_server.runtime import tensors
from digits_model_server.status import invalid

LOG = logging.getLogger("digits-model-server")
Arrays = Mapping[str, NDArray[Any]]
Function = Callable[[str, Arrays, Arrays], Sequence[Mapping[str, Any]]]

WAITING = 1000  # requests
MOST_WAITING = 32 << 20  # bytes of these
GATHER = 0.1  # seconds from the first request to its writing: to wake the thread for each costs more
TIDY = 3600.0  # seconds between two looks for files that are too old
PER_SECOND = 2000  # rows that a second of the function's time counts for


@dataclass(frozen=True)
class Bounds:
    """bytes of a file; files that are kept, for so many days; rows a second, 0 for any number."""

    bytes: int
    files: int
    days: int
    rate: float


@dataclass(frozen=True)
class Entry:
    """A request that was answered, or failed with a code. arrays: of the request and of its answer."""

    model: str
    signature: str
    version: int | None
    code: int
    seconds: float
    size: int = 0  # bytes that it holds while it waits
    arrays: Callable[[], tuple[Arrays, Arrays]] | None = None


def function(name: str) -> Function:
    """Import a function, `module:name`. Raises Status."""
    module, _, attribute = name.partition(":")
    try:
        found: Function = getattr(importlib.import_module(module), attribute)
        if not callable(found):
            raise TypeError("it can't be called")
    except Exception as error:  # a module may raise anything
        why = f"{type(error).__name__}: {error}"
        raise invalid(f"--facts_function={name}: {why}; expected module:function") from None
    return found


def arrays(api: str, request: Any, response: Any) -> tuple[Arrays, Arrays]:
    """Return the arrays of a request and of its answer. Raises Status.

    api: Predict, Classify or Regress. Of Examples an array for each feature, of the first values.
    """
    if api == "Predict":
        return _tensors(request.inputs), _tensors(response.outputs)
    listed = getattr(request.input, request.input.WhichOneof("kind")).examples
    if api == "Regress":
        answered = np.array([each.value for each in response.result.regressions], np.float32)
        return _features(listed), {examples.OUTPUTS: answered}
    found = [each.classes for each in response.result.classifications]
    classes = np.array([[one.label.encode() for one in row] for row in found], np.object_)
    scores = np.array([[one.score for one in row] for row in found], np.float32)
    return _features(listed), {examples.CLASSES: classes, examples.SCORES: scores}


def _tensors(named: Mapping[str, Any]) -> Arrays:
    return {alias: tensors.parse(alias, proto, sys.maxsize) for alias, proto in named.items()}


def _features(listed: Sequence[Any]) -> Arrays:
    columns: dict[str, list[Any]] = {}
    for example in listed:
        for name, feature in example.features.feature.items():
            columns.setdefault(name, []).append(getattr(feature, feature.WhichOneof("kind")).value[0])
    return {name: np.array(values, np.object_) for name, values in columns.items()}


class FactsLog:
    """The facts log of one server."""

    def __init__(self, prefix: str, make: Function, bounds: Bounds, group: bool = False) -> None:
        """group: may read the files."""
        mode = 0o640 if group else 0o600
        files = LogFiles(prefix, bounds.bytes, bounds.files, LINES, mode, bounds.days)
        self._make, self._sink = make, Sink(prefix, files)
        self._rate = bounds.rate
        self._waiting: queue.SimpleQueue[tuple[float, Entry] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the next two lines
        self._left, self._at = bounds.rate, time.monotonic()  # rows that may be written now
        self._held = self._skipped = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="facts-log", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queue a request, unless there are too many. Its arrays may not change any more. Never raises."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._left + (now - self._at) * self._rate, self._rate)
            self._at = now
            full = self._held + entry.size > MOST_WAITING and self._held
            if (self._rate and self._left <= 0) or full or self._waiting.qsize() >= WAITING:
                self._skipped += 1
                return
            self._left -= 1
            self._held += entry.size
        self._waiting.put((time.time(), entry))

    def close(self, seconds: float) -> None:
        """Write what is queued, for so many seconds at most."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        self._sink.tidy()
        while True:
            try:
                taken = self._waiting.get(timeout=TIDY)
            except queue.Empty:
                self._sink.tidy()
                continue
            if taken is None:
                self._sink.close()
                return
            self._write(*taken)
            if self._waiting.empty():
                time.sleep(GATHER)

    def _write(self, at: float, entry: Entry) -> None:
        began = time.thread_time()
        with self._lock:
            self._held -= entry.size
            skipped, self._skipped = self._skipped, 0
        about = {
            "at": round(at, 3),
            "model": entry.model,
            "version": entry.version,
            "signature": entry.signature,
            "status": status.HTTP[entry.code],
            "latency": round(entry.seconds, 6),
        }
        if skipped:
            about["skipped"] = skipped
        lines = self._lines(about, entry)
        for line in lines:
            self._sink.write(line)
        spent = max(len(lines), (time.thread_time() - began) * PER_SECOND)
        with self._lock:
            self._left -= max(spent - 1, 0)  # one was taken when it came
            self._skipped += 0 if lines else skipped

    def _lines(self, about: dict[str, Any], entry: Entry) -> list[bytes]:
        if entry.arrays is not None:
            try:
                lines = []
                for row in self._make(entry.signature, *entry.arrays()):
                    lines.append(json.dumps(about | dict(row), allow_nan=False).encode())
                    about.pop("skipped", None)
                self._failing = False
                return lines
            except Exception:  # the request is on record all the same
                if not self._failing:
                    LOG.exception("the facts log: the function fails on a request by '%s'", entry.signature)
                self._failing = True
        return [json.dumps(about).encode()]
