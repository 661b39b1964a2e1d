"""Whether new requests are welcome, and the way from there to the end of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

Close = Callable[[float], None]  # takes no more requests; waits so many seconds for those under way


class Readiness:
    """True until the server is told to stop; both ports tell it, each in its own way."""

    def __init__(self) -> None:
        self.ready = True
        self._tell: list[Callable[[], object]] = []

    def at_end(self, tell: Callable[[], object]) -> None:
        """Have `tell` called, in any thread, when it ends."""
        self._tell.append(tell)

    def end(self) -> None:
        """The server will stop."""
        self.ready = False
        for tell in self._tell:
            tell()


def close_all(closing: Sequence[Close], seconds: float) -> None:
    """Close all ports at the same time, so that none takes requests while another one waits."""
    threads = [threading.Thread(target=close, args=(seconds,), daemon=True) for close in closing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def done_within(seconds: float, work: Callable[[], None]) -> bool:
    """Do something that may never end; whether it did in time."""
    thread = threading.Thread(target=work, daemon=True)
    end = time.monotonic() + seconds
    thread.start()
    thread.join(max(0.0, end - time.monotonic()))
    return not thread.is_alive()
