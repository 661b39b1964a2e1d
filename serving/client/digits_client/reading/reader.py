"""Drivers of a plan: with a function that answers, with a client, with an asyncio client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_client.reading.plan import SECONDS, plan
from digits_client.reading.results import Reading
from digits_client.results import Answer, LinePrediction

Lines = Sequence[NDArray[np.uint8]]  # each [32, w]
Ask = Callable[[Lines], Answer[LinePrediction]]  # as DigitClient.predict_lines
AskLater = Callable[[Lines], Awaitable[Answer[LinePrediction]]]  # as AsyncDigitClient.predict_lines


def read(
    photo: NDArray[np.uint8],
    ask: Ask,
    least: float | None = None,
    seconds: float = SECONDS,
    form: str | None = None,
) -> Reading:
    """What a photo shows: uint8 [h, w] or [h, w, 3] (RGB). Raises what `ask` does.

    least: the confidence from which on a field is accepted; None: what the model says. seconds: for the
    whole; raises BadRequest where the photo has so much ink that they are not enough. form: the format of
    each field, "amount", "score", "digits:5" or a regular expression, as in `constraints`.
    """
    steps = plan(photo, least, seconds, form)
    answer: Any = None
    while True:
        try:
            lines = steps.send(answer)
        except StopIteration as done:
            made: Reading = done.value
            return made
        answer = ask(lines)


async def read_later(
    photo: NDArray[np.uint8],
    ask: AskLater,
    least: float | None = None,
    seconds: float = SECONDS,
    form: str | None = None,
) -> Reading:
    """The same with an asyncio client's `predict_lines`.

    Before each question it computes, some 50 ms in which no other task runs.
    """
    steps = plan(photo, least, seconds, form)
    answer: Any = None
    while True:
        try:
            lines = steps.send(answer)
        except StopIteration as done:
            made: Reading = done.value
            return made
        answer = await ask(lines)
