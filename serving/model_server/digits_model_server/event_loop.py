"""The base of both ports: an event loop in its own thread, and worker threads for slow requests.

Request handlers are coroutines that suspend only while the batch that they are part of is running; without
batching they never do. `run_blocking` drives one in a thread, which blocks; the loop goes on with other
requests.

A hand-over between threads costs as much as a small model's answer, so the loop itself answers requests that
are quick. Which ones are is learnt from how long requests of the same kind took recently.
"""

from __future__ import annotations

import abc
import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from digits_model_server.status import Status

Answer = TypeVar("Answer")
Steps = Coroutine[Any, None, Answer]


CallSoon = Callable[[Callable[[], None]], Any]


class Work(Protocol):
    """Something a coroutine can wait for. Its outcome is stored in the object."""

    def begin(self, done: Callable[[], None], soon: CallSoon | None = None) -> None:
        """Start it. `done` is called once, from any thread, when it has ended, possibly within this call.

        soon: an event loop's `call_soon`; None outside a loop.
        """


class WaitFor:
    """`await WaitFor(work)` in a coroutine yields the work to its driver, and resumes when that has ended."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __await__(self) -> Generator[Work, None, None]:
        yield self._work


def run_blocking(steps: Steps[Answer]) -> Answer:
    """Drive a coroutine to its end in this thread and return its result. Raises what it raises."""
    try:
        while True:
            work = steps.send(None)
            ended = threading.Event()
            work.begin(ended.set)
            ended.wait()
    except StopIteration as end:
        answer: Answer = end.value
        return answer


QUICK = 0.002  # seconds
TRIES = 5  # requests before a kind can count as quick
MEMORY = 0.9  # weight of earlier values in the moving mean
KINDS = 1000  # kinds that are remembered: a hostile client can make up any number


class _Pace:
    """How long requests of one kind take, not counting the time in which they are suspended. A shorter time
    counts at once: a longer one may be the machine's, or spent waiting for the other threads.
    """

    def __init__(self) -> None:
        self.calls, self.mean = 0, 0.0

    @property
    def quick(self) -> bool:
        return self.calls >= TRIES and self.mean < QUICK

    def took(self, seconds: float) -> None:
        mixed = MEMORY * self.mean + (1 - MEMORY) * seconds
        self.mean = min(seconds, mixed) if self.calls else seconds
        self.calls += 1


class _Clocked:
    """A coroutine that measures how long its own steps have taken."""

    def __init__(self, steps: Steps[Answer]) -> None:
        self._steps = steps
        self.seconds = 0.0

    def send(self, value: None) -> Any:
        began = time.perf_counter()
        try:
            return self._steps.send(value)
        finally:
            self.seconds += time.perf_counter() - began

    def close(self) -> None:
        self._steps.close()


class EventLoopServer(abc.ABC):
    """A server in an event loop of its own. Subclasses open and close their port in `serve`."""

    def __init__(self, name: str, threads: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.stopping = asyncio.Event()
        self.grace = 0.0  # seconds for the requests under way, once `stopping` is set
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._paces: dict[object, _Pace] = {}
        self._ended: deque[asyncio.Future[None]] = deque()
        self._waking = False
        self._ready = threading.Event()
        self._failure: Status | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abc.abstractmethod
    async def serve(self) -> None:
        """Open the port, call `mark_ready`, wait for `stopping`, close within `grace`. Raises Status."""

    def mark_ready(self) -> None:
        """Note that the port accepts requests; `start` returns."""
        self._ready.set()

    def start(self) -> None:
        """Start the thread and wait until the port accepts requests. Raises Status if it can't be opened."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure

    def stop(self, grace: float) -> None:
        """Accept no more requests and wait up to `grace` seconds for those under way."""
        self.grace = grace
        self.loop.call_soon_threadsafe(self.stopping.set)
        self._thread.join()

    async def answer(self, kind: object, work: Callable[..., Steps[Answer]], *arguments: Any) -> Answer:
        """Return what `work` returns, run by the loop itself if requests of this kind are quick, else in a
        thread.
        """
        pace = self._paces.get(kind)
        if pace is None:
            if len(self._paces) >= KINDS:
                self._paces.clear()
            pace = self._paces[kind] = _Pace()
        if pace.quick:
            return await self._here(pace, work, arguments)
        return await self.loop.run_in_executor(self._pool, _there, pace, work, arguments)

    async def _here(
        self, pace: _Pace, work: Callable[..., Steps[Answer]], arguments: tuple[Any, ...]
    ) -> Answer:
        steps = _Clocked(work(*arguments))
        try:
            while True:
                task = steps.send(None)
                ended = self.loop.create_future()
                task.begin(partial(self._wake, ended), self.loop.call_soon)
                await ended
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            steps.close()  # its client disconnected while the batch was running
            pace.took(steps.seconds)

    def _wake(self, ended: asyncio.Future[None]) -> None:
        """Have the loop resume what has ended; called from any thread, many times for a batch."""
        self._ended.append(ended)
        if not self._waking:  # one call into the loop for all that end at the same time
            self._waking = True
            self.loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        self._waking = False
        while self._ended:
            ended = self._ended.popleft()
            if not ended.done():
                ended.set_result(None)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self.serve())
        except Status as error:
            self._failure = error
        finally:
            self._ready.set()
            self._pool.shutdown(wait=False)
            self.loop.close()


def _there(pace: _Pace, work: Callable[..., Steps[Answer]], arguments: tuple[Any, ...]) -> Answer:
    steps = _Clocked(work(*arguments))
    try:
        return run_blocking(cast(Steps[Answer], steps))
    finally:
        pace.took(steps.seconds)
