"""The model server, asked for many visitors at once.

What arrives while a question is under way goes with the next one: a call costs more than an image does. Only
pixels are joined, which were checked before, so that nobody's picture can fail somebody else's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from digits_client import AsyncDigitClient, DigitClient
from digits_client.contract import AREA, SIDE
from digits_client.results import AVAILABLE, Answer, Prediction

UNDER_WAY = 2  # calls at once: one is answered while the next is put together
TOGETHER = 64  # images of a call, unless one visitor brings more


@dataclass(slots=True)
class _Question:
    images: bytes
    answered: asyncio.Future[Answer[Prediction]]


class Model:
    """Made in the event loop that asks it. Its methods raise ServingError's kinds."""

    def __init__(self, server: str, timeout: float) -> None:
        self._client = AsyncDigitClient(server, timeout=timeout, retries=1)
        # Threads that read photos ask for themselves.
        self.client = DigitClient(server, timeout=timeout, retries=1)
        self._waiting: deque[_Question] = deque()
        self._calls: set[asyncio.Task[None]] = set()

    async def predict(self, images: bytes) -> Answer[Prediction]:
        """What n × 784 bytes show, white ink on black."""
        question = _Question(images, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        self._ask()
        return await question.answered

    async def predict_picture(self, data: bytes) -> Answer[Prediction]:
        """What a PNG or JPEG of one digit shows."""
        return await self._client.predict_bytes([data])

    async def version(self) -> int | None:
        """The version in service; None when none is ready."""
        ready = [each.version for each in await self._client.status() if each.state == AVAILABLE]
        return max(ready, default=None)

    async def close(self) -> None:
        """Let the connections go."""
        for call in self._calls:
            call.cancel()
        await self._client.close()
        await asyncio.to_thread(self.client.close)

    def _ask(self) -> None:
        while self._waiting and len(self._calls) < UNDER_WAY:
            call = asyncio.create_task(self._call(self._next()))
            self._calls.add(call)
            call.add_done_callback(self._done)

    def _done(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._ask()

    def _next(self) -> list[_Question]:
        taken, count = [self._waiting.popleft()], 0
        while self._waiting:
            count += len(taken[-1].images) // AREA
            if count + len(self._waiting[0].images) // AREA > TOGETHER:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _call(self, asked: Sequence[_Question]) -> None:
        wanted = [each for each in asked if not each.answered.done()]  # a visitor may have left meanwhile
        if not wanted:
            return
        data = b"".join(each.images for each in wanted)
        try:
            answer = await self._client.predict(memoryview(data).cast("B", (len(data) // AREA, SIDE, SIDE)))
        except BaseException as error:
            for each in wanted:
                if not each.answered.done():
                    own = error if isinstance(error, Exception) else asyncio.CancelledError()
                    each.answered.set_exception(own)
            if not isinstance(error, Exception):
                raise
            return
        at = 0
        for each in wanted:
            count = len(each.images) // AREA
            if not each.answered.done():
                each.answered.set_result(Answer(answer.predictions[at : at + count], answer.version))
            at += count
