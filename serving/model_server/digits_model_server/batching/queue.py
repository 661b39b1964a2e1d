"""Requests that wait to be run together: which batch each goes into, and when a batch is due.

The caller, `scheduler`, holds a lock and runs the batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from digits_model_server.batching.settings import BatchSettings
from digits_model_server.event_loop import CallSoon, Work
from digits_model_server.status import UNAVAILABLE, Status, invalid

FULL = "The batch scheduling queue to which this task was submitted is full; "


class Task(Work):
    """One request. rows: of its inputs. deadline: by the clock of `added`, None for none."""

    def __init__(
        self,
        arrays: list[NDArray[Any]],
        rows: int,
        deadline: float | None,
        submit: Callable[[Task, CallSoon | None], None],
    ) -> None:
        self.arrays, self.rows, self.deadline = arrays, rows, deadline
        self.added = 0.0
        self.error: Status | None = None
        self.parts: list[list[NDArray[Any]] | None] = []  # of the answer, one for each batch it is in
        self.left = 0  # parts without an answer
        self._submit = submit
        self._done: Callable[[], None] = lambda: None

    def begin(self, done: Callable[[], None], soon: CallSoon | None = None) -> None:
        """Submit the task; `done` is called when its last part has an answer, or when it is refused."""
        self._done = done
        try:
            self._submit(self, soon)
        except Status as error:
            self.error = error
            done()

    def finish_part(self, place: int, answer: list[NDArray[Any]] | Status) -> None:
        """Store the answer of a part; the last one ends the task. One thread at a time."""
        if isinstance(answer, Status):
            self.error = self.error or answer
        else:
            self.parts[place] = answer
        self.left -= 1
        if not self.left:
            self._done()


@dataclass(frozen=True)
class Part:
    """Rows `start` to `stop` of a task, as the part at `place` among its parts."""

    task: Task
    place: int
    start: int
    stop: int

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """The inputs."""
        task = self.task
        if self.stop - self.start == task.rows:
            return task.arrays
        return [array[self.start : self.stop] for array in task.arrays]


@dataclass
class Batch:
    """Parts that are run together. since: when the first one came."""

    since: float
    parts: list[Part] = field(default_factory=list)
    rows: int = 0

    def add(self, part: Part) -> None:
        """Add a part."""
        self.parts.append(part)
        self.rows += part.stop - part.start


class Queue:
    """The batches that wait for one run of a model, the last one open."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, task: Task, now: float) -> None:
        """Put a task into a batch, or its parts into several. Raises Status: too large, or no room."""
        of = self._settings
        if task.rows > of.rows:
            raise invalid(f"Task size {task.rows} is larger than maximum input batch size {of.rows}")
        task.added = now
        (self._check_split if of.split else self._check)(task)
        start = 0
        while True:
            if not self._batches or not self._room(task.rows - start):
                self._batches.append(Batch(now))
            room = of.execution - self._batches[-1].rows
            stop = min(task.rows, start + room)
            self._batches[-1].add(Part(task, len(task.parts), start, stop))
            task.parts.append(None)
            start = stop
            if start >= task.rows:
                break
        task.left = len(task.parts)

    def _room(self, rows: int) -> bool:
        """Return whether the open batch takes so many rows, or some of them where they may be split."""
        room = self._settings.execution - self._batches[-1].rows
        return room > 0 if self._settings.split else room >= rows

    def _check(self, task: Task) -> None:
        waiting = max(1, len(self._batches))
        filled = self._batches[-1].rows if self._batches else 0
        if filled + task.rows > self._settings.rows and waiting >= self._settings.waiting:
            raise Status(
                UNAVAILABLE,
                f"{FULL}currently {waiting} batches enqueued and max_enqueued_batches is "
                f"{self._settings.waiting}",
            )

    def _check_split(self, task: Task) -> None:
        of, waiting = self._settings, max(1, len(self._batches))
        filled = self._batches[-1].rows if self._batches else 0
        room = (of.waiting - waiting) * of.execution + of.execution - filled
        if task.rows > room:
            raise Status(
                UNAVAILABLE,
                f"{FULL}task size is {task.rows} but scheduling capacity is only {room} "
                f"(num_enqueued_batches={waiting}, max_enqueued_batches={of.waiting}, "
                f"open_batch_size={filled}, max_execution_batch_size={of.execution})",
            )

    @property
    def full(self) -> bool:
        """Whether the first batch can take no more rows."""
        return len(self._batches) > 1 or (
            bool(self._batches) and self._batches[0].rows >= self._settings.execution
        )

    def due(self, now: float) -> float:
        """Return the seconds until the first batch may be run: full, or timed out; inf without one."""
        if not self._batches:
            return float("inf")
        return 0.0 if self.full else max(0.0, self._batches[0].since + self._settings.timeout - now)

    def alone(self, now: float) -> bool:
        """Return whether a single request waits, and may be run."""
        return len(self._batches) == 1 and len(self._batches[0].parts) == 1 and self.due(now) <= 0

    def pop(self) -> Batch:
        """Remove and return the first batch."""
        return self._batches.popleft()
