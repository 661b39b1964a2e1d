"""What a worker asks what lines say: model servers, one after another, or a model in its own process."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from digits.runtime import errors
from digits_client import Answer, BadRequest, DigitClient, LinePrediction, ServingError
from digits_client.contract import HEIGHT, MODEL
from digits_client.options import RETRIES, TIMEOUT
from digits_client.reading.reader import Ask
from flows.search.workers import ONE_THREAD

PATIENCE = 120.0  # seconds without an answer from any server after which a worker gives up
FIRST_REST, LONGEST_REST = 1.0, 60.0  # seconds that a server which did not answer is passed over


@dataclass(frozen=True)
class Asking:
    """Which model reads. local: its folder; None: that of the servers."""

    servers: tuple[str, ...] = ("localhost",)
    transport: Literal["grpc", "rest"] = "grpc"
    model: str = MODEL
    timeout: float = TIMEOUT
    local: Path | None = None


class Servers:
    """Asks servers in turn. One that does not answer is passed over for a while. Not for several threads."""

    def __init__(
        self,
        clients: Sequence[Any],
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """clients: DigitClient, or what has its `predict_lines`."""
        self.clients, self.patience, self.clock, self.sleep = clients, patience, clock, sleep
        self.turn = os.getpid()  # so that workers begin at different ones
        self.rests = [0.0] * len(clients)  # seconds, doubled at each failure
        self.until = [0.0] * len(clients)

    def predict_lines(self, lines: Any) -> Answer[LinePrediction]:
        """What DigitClient.predict_lines gives. Raises what the last server did when none answers in time."""
        end = self.clock() + self.patience
        while True:
            self.turn += 1
            failure: ServingError | None = None
            for step in range(len(self.clients)):
                place = (self.turn + step) % len(self.clients)
                if self.clock() < self.until[place]:
                    continue
                try:
                    answer: Answer[LinePrediction] = self.clients[place].predict_lines(lines)
                except BadRequest:  # of the lines, not of the server
                    raise
                except ServingError as error:
                    failure = error
                    self.rests[place] = min(max(FIRST_REST, 2 * self.rests[place]), LONGEST_REST)
                    self.until[place] = self.clock() + self.rests[place]
                else:
                    self.rests[place] = 0.0
                    return answer
            if failure and self.clock() >= end:
                raise failure
            self.sleep(max(0.05, min(self.until) - self.clock()))


def clients(asking: Asking) -> list[DigitClient]:
    """A client for each server. Raises BadRequest for an address that is none."""
    retries = RETRIES if len(asking.servers) == 1 else 0  # another one is asked instead
    return [
        DigitClient(server, asking.transport, timeout=asking.timeout, model=asking.model, retries=retries)
        for server in asking.servers
    ]


def check(asking: Asking) -> list[str]:
    """Ask every server once; return what is wrong with those that don't answer.

    Raises digits.runtime.errors.ServingError when none does, or one refuses lines.
    """
    problems: list[str] = []
    try:
        for client in clients(asking):
            with client:
                try:
                    client.predict_lines([np.full((HEIGHT, HEIGHT), 255, np.uint8)])
                except BadRequest:
                    raise
                except ServingError as error:
                    problems.append(str(error))
    except BadRequest as error:
        raise errors.BadRequest(str(error)) from None
    if len(problems) == len(asking.servers):
        raise errors.ServingError(problems[0])
    return problems


@functools.lru_cache(maxsize=1)
def ask(asking: Asking) -> Ask:
    """The function that this process asks, made once."""
    if asking.local is None:
        return Servers(clients(asking)).predict_lines
    for name, value in ONE_THREAD.items():  # a worker of a cluster has its own environment
        os.environ.setdefault(name, value)
    from serving.local import LocalModel

    return LocalModel(asking.local).predict_lines


def warm(asking: Asking) -> None:
    """Load what reading needs, and a local model; runs on a worker."""
    import cv2

    cv2.setNumThreads(1)
    if asking.local is not None:
        ask(asking)([np.full((HEIGHT, HEIGHT), 255, np.uint8)])
