"""The threads that run batches, and how they take them from queues that threads and event loops fill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from digits_model_server.batching.queue import Batch, Queue, Task
from digits_model_server.batching.settings import BatchSettings, Pool
from digits_model_server.event_loop import CallSoon

GATHER = 0.005  # seconds that a busy event loop may go on bringing requests before they are run
TURNS = 5  # of the loop without a new one: then there is none on its way
Names = tuple[str, ...]
# How long each of a batch's requests has waited, in seconds, and the name of the threads
OnBatch = Callable[[Sequence[float], str], None]


class Owner(Protocol):
    """A model whose batches are run."""

    settings: BatchSettings

    @property
    def quick(self) -> bool:
        """Whether an event loop may run a request by itself."""

    def task_added(self) -> None:
        """Count one more waiting task."""

    def run_batch(self, batch: Batch, feeds: Names, fetches: Names) -> None:
        """Run a batch and end its tasks."""


class Scheduler:
    """The threads that run the batches of all models. on_batch: called before every batch."""

    def __init__(self, pool: Pool, on_batch: OnBatch | None = None) -> None:
        self._pool, self._on_batch = pool, on_batch
        self._changed = threading.Condition(threading.Lock())
        self._queues: dict[object, tuple[Queue, Owner, Names, Names]] = {}
        self._threads: list[threading.Thread] = []
        self._running = 0  # threads at work
        self._gathering: dict[CallSoon, int] = {}  # loops that bring more; turns since they last did
        self._until = 0.0  # when that ends

    def submit(self, owner: Owner, feeds: Names, fetches: Names, task: Task, soon: CallSoon | None) -> None:
        """Queue a task of a model. Raises Status where there is no room."""
        with self._changed:
            shapes = () if owner.settings.pad else tuple(array.shape[1:] for array in task.arrays)
            key = owner, feeds, fetches, shapes
            found = self._queues.get(key)
            if found is None:
                found = Queue(owner.settings), owner, feeds, fetches
            found[0].add(task, time.monotonic())
            self._queues[key] = found
            owner.task_added()
            if not self._threads:
                self._start()
            if soon is None:
                self._changed.notify()
            elif soon in self._gathering:
                self._gathering[soon] = 0
            else:  # the loop may have more requests at hand: they are run together
                if not self._gathering:
                    self._until = time.monotonic() + GATHER
                self._gathering[soon] = 0
                soon(partial(self._look, soon))

    def wake(self) -> None:
        """Have the threads look for batches: a loop that was to do so may be gone."""
        with self._changed:
            self._changed.notify_all()

    def _look(self, soon: CallSoon) -> None:
        """Called by an event loop each time it has done what was at hand, until that brings no more requests
        or takes too long. A request that came alone is run here, at once: handing it to a thread and back
        takes longer than a small model.
        """
        with self._changed:
            if self._gathering[soon] < TURNS and time.monotonic() < self._until:
                self._gathering[soon] += 1
                soon(partial(self._look, soon))
                return
            del self._gathering[soon]
            if self._gathering or self._running or not self._alone():
                self._changed.notify()
                return
            chosen = self._next()
        self._run(*chosen)

    def _alone(self) -> bool:
        """Return whether a single request waits, of a model that is quick."""
        if len(self._queues) != 1:
            return False
        ((queue, owner, *_),) = self._queues.values()
        return owner.quick and queue.alone(time.monotonic())

    def _start(self) -> None:
        for number in range(self._pool.size):
            thread = threading.Thread(target=self._work, name=f"{self._pool.name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                chosen = self._next()
                self._running += 1
            self._run(*chosen)
            with self._changed:
                self._running -= 1

    def _run(self, batch: Batch, owner: Owner, feeds: Names, fetches: Names) -> None:
        if self._on_batch:
            now = time.monotonic()
            self._on_batch([now - part.task.added for part in batch.parts], self._pool.name)
        owner.run_batch(batch, feeds, fetches)

    def _next(self) -> tuple[Batch, Owner, Names, Names]:
        """Return the batch that has been due longest; wait for one. Empty queues are dropped."""
        while True:
            now, soonest = time.monotonic(), float("inf")
            for key, (queue, owner, feeds, fetches) in self._queues.items():
                due = queue.due(now)
                if self._gathering and not queue.full:
                    due = max(due, self._until - now)
                if due <= 0:
                    batch = queue.pop()
                    del self._queues[key]
                    if queue:
                        self._queues[key] = queue, owner, feeds, fetches  # behind the others
                    return batch, owner, feeds, fetches
                soonest = min(soonest, due)
            self._changed.wait(None if soonest == float("inf") else soonest)
