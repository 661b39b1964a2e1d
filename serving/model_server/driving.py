"""Answering a request is a coroutine that rests only while a batch it is part of is run.

It knows nothing of threads: whoever drives it waits in the way that fits, a thread by blocking (`through`),
an event loop by going on with other requests (`looped`). Without batching it never rests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")
Steps = Coroutine[Any, None, Answer]


Soon = Callable[[Callable[[], None]], Any]


class Work(Protocol):
    """What a coroutine may rest for. How it ended is found in it."""

    def begin(self, done: Callable[[], None], soon: Soon | None = None) -> None:
        """Start it; `done` is called once, in any thread, when it has ended, in this call at the earliest.

        soon: of an event loop, calls something once what is at hand is done with.
        """


class Rest:
    """`await Rest(work)` in a coroutine hands the work to its driver and goes on when it has ended."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __await__(self) -> Generator[Work, None, None]:
        yield self._work


def through(steps: Steps[Answer]) -> Answer:
    """Drive a coroutine to its end in this thread. Raises what it raises."""
    try:
        while True:
            work = steps.send(None)
            ended = threading.Event()
            work.begin(ended.set)
            ended.wait()
    except StopIteration as end:
        answer: Answer = end.value
        return answer
