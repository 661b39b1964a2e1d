"""One version of a model: its state, and the requests that are inside it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from serving.model_server.models.versions import START
from serving.model_server.status import Status


class Version:
    """From the day it was seen to its end. error: why it ended, None where it was unloaded."""

    def __init__(self, model: str, number: int, path: Path) -> None:
        self.model, self.number, self.path = model, number, path
        self.state = START
        self.error: Status | None = None
        self.loaded: Any = None
        self.attempts = 0
        self.again_at = 0.0  # by time.monotonic(), while it is loaded again and again
        self._idle = threading.Condition(threading.Lock())
        self._users = 0
        self._open = False

    def opened(self, loaded: Any) -> None:
        """Requests may come."""
        with self._idle:
            self.loaded, self._open = loaded, True

    def enter(self) -> bool:
        """Begin a request; False when the version is on its way out."""
        with self._idle:
            self._users += self._open
            return self._open

    def leave(self) -> None:
        """End a request."""
        with self._idle:
            self._users -= 1
            if not self._users and not self._open:
                self._idle.notify_all()

    def close(self) -> None:
        """Let no request in, wait for those inside, give the memory back."""
        with self._idle:
            self._open = False
            while self._users:
                self._idle.wait()
            loaded, self.loaded = self.loaded, None
        if loaded is not None:
            loaded.close()
