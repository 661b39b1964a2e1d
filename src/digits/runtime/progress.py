"""Progress of long work: bars on a terminal, an occasional plain line elsewhere.

    for row in track(rows, "reading letters"): ...

    with bar("train-images", total=9_912_422, unit="bytes") as advance:
        advance(65_536)
        advance(65_536, note="from example.org")

Output goes to stdout; short work writes nothing to a log.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

T = TypeVar("T")

EVERY = 5.0  # seconds between two plain lines; work that ends sooner writes none


class Advance(Protocol):
    """The function that `bar` yields, to be called with the amount done since the last call.

    note: text to show beside it.
    """

    def __call__(self, amount: int = 1, note: str = "") -> None:
        """Advance the bar."""


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, showing how many have been taken. total: for an iterable that has no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total) as advance:
        for item in items:
            yield item
            advance()


def escape_unprintable() -> None:
    """Have output show what its encoding lacks as an escape, such as \\u2713, rather than fail on it.

    For the start of a command: help texts have signs beyond ASCII, and files may have any name.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Print one line for the user, at once."""
    print(line, flush=True)  # noqa: T201 - what a person reads


@contextlib.contextmanager
def bar(description: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
    """Show a bar over `total` things (None: unknown) and yield what advances it; `unit="bytes"` shows MB."""
    with _rich(description, total, unit) if sys.stdout.isatty() else _plain(description, total, unit) as move:
        yield move


@contextlib.contextmanager
def _rich(description: str, total: int | None, unit: str) -> Iterator[Advance]:
    from rich import progress as rich  # here: the import takes 50 ms, which a log never needs

    amount = rich.DownloadColumn() if unit == "bytes" else rich.MofNCompleteColumn()
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        amount,
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}"),
    )
    with rich.Progress(*columns) as shown:
        task = shown.add_task(description, total=total, note="")

        def advance(amount: int = 1, note: str = "") -> None:
            shown.update(task, advance=amount, note=note)

        yield advance


@contextlib.contextmanager
def _plain(description: str, total: int | None, unit: str) -> Iterator[Advance]:
    done, last_note, last_said = 0, "", time.monotonic()
    spoke = False

    def line() -> str:
        share = f" {done / total:4.0%}" if total else ""
        return f"{description}{share} {_amount(done, total, unit)} {last_note}".rstrip()

    def advance(amount: int = 1, note: str = "") -> None:
        nonlocal done, last_note, last_said, spoke
        done, last_note = done + amount, note
        if time.monotonic() - last_said >= EVERY:
            say(line())
            last_said, spoke = time.monotonic(), True

    yield advance
    if spoke:
        say(line())


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        return f"{done / 1e6:.1f}" + (f"/{total / 1e6:.1f} MB" if total else " MB")
    return f"{done}" + (f"/{total}" if total else "") + (f" {unit}" if unit else "")
