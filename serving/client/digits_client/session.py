"""One call: its deadline, its retries, and the one model version that answers all of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from digits_client import failures, outputs
from digits_client.codec import Codec, Images, Spec
from digits_client.errors import ModelNotFound, ServingError, Unavailable
from digits_client.exchange import OK, Message, Plan, Send, Wait
from digits_client.results import AVAILABLE, Prediction, VersionStatus

FIRST_PAUSE = 0.2  # seconds before the first retry; doubles, less up to half of it at random


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client was made with."""

    codec: Codec
    where: str  # for messages: "localhost:8500 over gRPC"
    model: str
    version: int | None
    timeout: float  # seconds for a whole call
    retries: int
    chunk_images: int  # at most so many images a request
    chunk_bytes: int  # at most so many bytes of pictures a request; a larger one goes alone
    clock: Callable[[], float]


class Moved(Exception):
    """The version that answered the first part of a call has left the server; never leaves this package."""


class Session:
    """The requests of one call. Its methods are plans, see digits_client.exchange."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = settings.version
        self.answered: int | None = None  # the version that made what this call has so far
        self._ends = settings.clock() + settings.timeout

    def restart(self) -> None:
        """Forget which version answered; the deadline stays."""
        self.version, self.answered = self.settings.version, None

    def predict(self, images: Images) -> Plan[list[Prediction]]:
        """One request. The first one settles the version that the later ones ask for."""
        codec = self.settings.codec
        if self.version is None and not codec.tells_version:
            yield from self._settle()
        try:
            body = yield from self.ask(codec.predict(Spec(self.settings.model, self.version), images))
        except ModelNotFound:
            if self.version is not None and self.settings.version is None:
                raise Moved from None
            raise
        try:
            answered = codec.predicted(body, images.count)
            made = outputs.predictions(answered, images.count)
        except ValueError as problem:
            raise failures.foreign(self.settings.where, problem) from None
        if answered.version is not None:
            if self.version not in (None, answered.version):
                surprise = f"as version {answered.version} where version {self.version} was asked"
                raise failures.foreign(self.settings.where, surprise)
            self.version = answered.version
        self.answered = self.version
        return made

    def _settle(self) -> Plan[None]:
        """Ask which version is in service: an answer over REST does not tell which one made it."""
        ready = [each for each in (yield from self.status()) if each.state == AVAILABLE]
        if not ready:
            raise Unavailable(
                f"{self.settings.where} has no version of '{self.settings.model}' ready: "
                "expected one that is AVAILABLE; ask status() what became of them"
            )
        self.version = max(each.version for each in ready)

    def status(self) -> Plan[tuple[VersionStatus, ...]]:
        """Every version that the server knows, newest first."""
        codec = self.settings.codec
        body = yield from self.ask(codec.status(Spec(self.settings.model, self.settings.version)))
        try:
            return codec.statuses(body)
        except ValueError as problem:
            raise failures.foreign(self.settings.where, problem) from None

    def ask(self, message: Message) -> Plan[bytes]:
        """The answer's bytes; again after a pause where that can heal, never past the deadline."""
        settings, pause = self.settings, FIRST_PAUSE
        failure: ServingError = failures.late(settings.where, settings.timeout)
        for attempt in range(settings.retries + 1):
            left = self._ends - settings.clock()
            if left <= 0:
                break
            reply = yield Send(message, left)
            if reply.code == OK:
                body: bytes = reply.body
                return body
            failure = failures.error(reply, settings.where, settings.model, settings.timeout)
            wait = pause * random.uniform(0.5, 1)
            last = attempt == settings.retries or settings.clock() + wait >= self._ends
            if last or not failures.heals(reply):
                break
            yield Wait(wait)
            pause *= 2
        raise failure
