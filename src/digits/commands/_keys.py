"""Keys of a terminal, one at a time, without waiting for Enter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator


@contextlib.contextmanager
def single() -> Iterator[Callable[[], Awaitable[str]]]:
    """What waits for the next key; "" when the terminal is gone. The terminal is afterwards as it was."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)  # Ctrl-C stays what it is
    try:
        yield lambda: _next(descriptor)
    finally:
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def _next(descriptor: int) -> str:
    """The loop waits for it, not a read: so that Ctrl-C is heard at once."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
        return os.read(descriptor, 1).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        loop.remove_reader(descriptor)
