"""What both ports have in common: an event loop in a thread of its own, and threads for what is not quick.

A hand-over between threads costs as much as a small model's answer, so the loop answers by itself what is
quick. That is learnt: the requests of one kind that took little the last times.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from serving.model_server.statuses import Status

QUICK = 0.002  # seconds
TRIES = 5  # requests before a kind can count as quick
MEMORY = 0.9  # share of what was known before, in the mean
KINDS = 1000  # that are remembered: a hostile client can make up as many as it likes

Answer = TypeVar("Answer")


class _Pace:
    """How long requests of one kind take. A shorter time counts at once: a longer one may be the machine's,
    or spent waiting for the other threads."""

    def __init__(self) -> None:
        self.calls, self.mean = 0, 0.0

    @property
    def quick(self) -> bool:
        return self.calls >= TRIES and self.mean < QUICK

    def timed(self, work: Callable[..., Answer], arguments: tuple[Any, ...]) -> Answer:
        began = time.perf_counter()
        answer = work(*arguments)
        seconds = time.perf_counter() - began
        mixed = MEMORY * self.mean + (1 - MEMORY) * seconds
        self.mean = min(seconds, mixed) if self.calls else seconds
        self.calls += 1
        return answer


class LoopedServer:
    """A server in an event loop of its own. Who inherits it opens and closes a port in `serve`."""

    def __init__(self, name: str, threads: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.stopping = asyncio.Event()
        self.grace = 0.0  # seconds for the requests under way, once `stopping` is set
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._paces: dict[object, _Pace] = {}
        self._ready = threading.Event()
        self._failure: Status | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def serve(self) -> None:
        """Open the port, call `opened`, wait for `stopping`, close within `grace`. Raises Status."""
        raise NotImplementedError

    def opened(self) -> None:
        """The port takes requests from now on."""
        self._ready.set()

    def start(self) -> None:
        """Take requests from now on. Raises Status where the port can't be opened."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure

    def stop(self, grace: float) -> None:
        """Take no more; wait so many seconds for those under way."""
        self.grace = grace
        self.loop.call_soon_threadsafe(self.stopping.set)
        self._thread.join()

    async def answered(self, kind: object, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """The answer of `work`, here if requests of this kind are quick, else in a thread."""
        pace = self._paces.get(kind)
        if pace is None:
            if len(self._paces) >= KINDS:
                self._paces.clear()
            pace = self._paces[kind] = _Pace()
        if pace.quick:
            return pace.timed(work, arguments)
        return await self.loop.run_in_executor(self._pool, pace.timed, work, arguments)

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
