"""Which version is in service, asked of the model server at most once a second for all visitors."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from digits_client import errors
from serving.app import log_lines
from serving.app.log_lines import Tell
from serving.app.metrics import Metrics
from serving.app.model_client import Model
from serving.app.versions import Published, facts

FRESH = 1.0  # seconds
NONE_READY = "no version of the model is ready: see `digits status`"
AWAY = "the model server does not answer"  # which one, and why, is for the log


@dataclass(frozen=True, slots=True)
class Service:
    """How the model server stands. message: why it is not ready."""

    version: int | None
    message: str = ""


class About:
    """Asks, and remembers for a moment."""

    def __init__(self, model: Model, published: Published, metrics: Metrics, tell: Tell) -> None:
        self._model, self._published, self._metrics, self._tell = model, published, metrics, tell
        self._told = ""
        self._known: Service | None = None
        self._at = 0.0
        self._asking: asyncio.Task[Service] | None = None

    async def service(self) -> Service:
        """How it stands now, give or take a second."""
        if self._known is not None and time.monotonic() - self._at < FRESH:
            return self._known
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def describe(self) -> dict[str, Any]:
        """The version's part of what /api/about tells."""
        service = await self.service()
        number = service.version
        known = formats = card = None
        if number is not None:
            known = await asyncio.to_thread(self._published.provenance, number)
            formats = await asyncio.to_thread(self._published.formats, number)
            card = await asyncio.to_thread(self._published.card, number)
        return {
            "model": {"ready": number is not None, "version": number, "message": service.message},
            "edge": f"/edge/{number}/" if formats else None,
            "card": f"/api/versions/{number}/card" if card else None,
            "facts": facts(known) if known else None,
        }

    async def _ask(self) -> Service:
        try:
            number = await self._model.version()
            found, details = Service(number, "" if number is not None else NONE_READY), ""
        except errors.ServingError as error:
            found, details = Service(None, AWAY), errors.one_line(str(error))
        if details and details != self._told:  # once for each reason, not every second
            self._tell(log_lines.event(f"{AWAY}: {details}", "warning"))
        self._told = details
        self._known, self._at = found, time.monotonic()
        self._metrics.model.set(found.version or 0)
        return found
