"""Joins the requests of many clients into few runs, as upstream's batching does.

A batch mixes clients, so one bad request must not fail the others, as it does upstream: when several requests
can't be joined, or their run fails, each is run by itself; without padding requests of different shapes are
not joined.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from digits_model_server.batching import tensors
from digits_model_server.batching.queue import Batch, Part, Task
from digits_model_server.batching.scheduler import Names, Scheduler
from digits_model_server.batching.settings import BatchSettings
from digits_model_server.event_loop import WaitFor
from digits_model_server.status import DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED, Status

QUICK = 0.002  # seconds
MEMORY = 0.8  # weight of earlier values in the moving mean
Run = Callable[[Names, Names, Sequence[NDArray[Any]], float | None], list[NDArray[Any]]]


class Batcher:
    """The batches of one version of a model."""

    def __init__(self, run: Run, settings: BatchSettings, scheduler: Scheduler) -> None:
        self.settings = settings
        self._run, self._scheduler = run, scheduler
        self._waiting = 0  # tasks without an answer
        self._pace = 1.0  # seconds of a run for one request, lately
        self._changed = threading.Condition(threading.Lock())

    @property
    def quick(self) -> bool:
        """Whether an event loop may run a request by itself."""
        return self._pace < QUICK

    async def run(
        self, feeds: Names, fetches: Names, arrays: Sequence[NDArray[Any]], seconds: float | None
    ) -> list[NDArray[Any]]:
        """Return the fetched tensors, computed in a batch with other requests.

        seconds: time limit, waiting included. Raises Status.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        submit = partial(self._scheduler.submit, self, feeds, fetches)
        task = Task(list(arrays), tensors.rows(arrays), deadline, submit)
        await WaitFor(task)
        if task.error:
            raise task.error
        return tensors.join_parts([part for part in task.parts if part is not None])

    def task_added(self) -> None:
        """Count one more waiting task."""
        with self._changed:
            self._waiting += 1

    def run_batch(self, batch: Batch, feeds: Names, fetches: Names) -> None:
        """Run a batch and end its tasks."""
        began = time.perf_counter()
        try:
            answers = self._answers(batch.parts, feeds, fetches)
        except Exception as error:  # a thread that ends would leave the others waiting for ever
            answers = [Status(INTERNAL, f"{type(error).__name__}: {error}")] * len(batch.parts)
        if len(batch.parts) == 1:
            seconds = time.perf_counter() - began
            self._pace = max(seconds, MEMORY * self._pace + (1 - MEMORY) * seconds)
        with self._changed:
            for part, answer in zip(batch.parts, answers, strict=True):
                part.task.finish_part(part.place, answer)
                self._waiting -= not part.task.left
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for the tasks whose clients have gone."""
        self._scheduler.wake()
        with self._changed:
            while self._waiting:
                self._changed.wait()

    def _answers(
        self, parts: Sequence[Part], feeds: Names, fetches: Names
    ) -> list[list[NDArray[Any]] | Status]:
        now = time.monotonic()
        late = [part.task.deadline is not None and part.task.deadline <= now for part in parts]
        on_time = [part for part, is_late in zip(parts, late, strict=True) if not is_late]
        answers = iter(self._together(on_time, feeds, fetches, now) if on_time else ())
        return [_LATE if is_late else next(answers) for is_late in late]

    def _together(
        self, parts: Sequence[Part], feeds: Names, fetches: Names, now: float
    ) -> list[list[NDArray[Any]] | Status]:
        """Run all parts at once, with the latest of their deadlines."""
        ends = [part.task.deadline for part in parts]
        seconds = None if None in ends else max(end for end in ends if end is not None) - now
        try:
            inputs = tensors.merge_inputs([part.arrays for part in parts], self.settings)
            outputs = self._run(feeds, fetches, inputs, seconds)
        except Status as error:
            if len(parts) == 1 or error.code == DEADLINE_EXCEEDED:
                return [error] * len(parts)
            return [answer for part in parts for answer in self._together([part], feeds, fetches, now)]
        try:
            sizes = [part.stop - part.start for part in parts]
            return list(tensors.split_outputs(outputs, sizes, len(inputs[0])))
        except Status as error:
            return [error] * len(parts)


_LATE = Status(RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
