"""Drivers of a plan: with a function that answers, with a client, with an asyncio client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_client.reading.plan import SECONDS, plan
from digits_client.reading.results import FIELD_CONFIDENCE, Reading
from digits_client.results import Answer, Prediction

Ask = Callable[
    [NDArray[np.uint8]], Answer[Prediction]
]  # uint8 [n, 28, 28], as DigitClient.predict takes them
AskLater = Callable[[NDArray[np.uint8]], Awaitable[Answer[Prediction]]]  # as AsyncDigitClient.predict


def read(
    photo: NDArray[np.uint8], ask: Ask, least: float = FIELD_CONFIDENCE, seconds: float = SECONDS
) -> Reading:
    """What a photo shows: uint8 [h, w] or [h, w, 3] (RGB), upright. Raises what `ask` does.

    least: the confidence from which on a field is accepted. seconds: for the whole; raises BadRequest where
    the photo has so much ink that they are not enough.
    """
    steps = plan(photo, least, seconds)
    answer: Any = None
    while True:
        try:
            images = steps.send(answer)
        except StopIteration as done:
            made: Reading = done.value
            return made
        answer = ask(images)


async def read_later(
    photo: NDArray[np.uint8], ask: AskLater, least: float = FIELD_CONFIDENCE, seconds: float = SECONDS
) -> Reading:
    """The same with an asyncio client's `predict`.

    Between the questions it computes, some 30 ms in which no other task runs.
    """
    steps = plan(photo, least, seconds)
    answer: Any = None
    while True:
        try:
            images = steps.send(answer)
        except StopIteration as done:
            made: Reading = done.value
            return made
        answer = await ask(images)
