"""Keys of a terminal, one at a time, without waiting for Enter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator


@contextlib.contextmanager
def single() -> Iterator[Callable[[], Awaitable[str]]]:
    """What waits for the next key; "" when the terminal is gone. The terminal is afterwards as it was.

    Within a running loop, on the main thread. What waits raises KeyboardInterrupt when Ctrl-C was pressed,
    then or since the last key: so nothing that a key has begun is cut.
    """
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    ready, interrupted = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        interrupted.set()
        ready.set()

    async def key() -> str:
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
            if interrupted.is_set():
                raise KeyboardInterrupt
            return os.read(descriptor, 1).decode("ascii", "replace")
        except OSError:
            return ""
        finally:
            ready.clear()
            loop.remove_reader(descriptor)

    before, handler = termios.tcgetattr(descriptor), signal.getsignal(signal.SIGINT)
    # asyncio.run's own handler does not wake a loop that is about to sleep: Ctrl-C would not be heard
    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        tty.setcbreak(descriptor)  # Ctrl-C stays what it is
        yield key
    finally:
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, handler)
