"""Progress of long work: bars on a terminal, an occasional plain line elsewhere.

    for row in track(rows, "reading letters"): ...

    with bar("train-images", total=9_912_422, unit="bytes") as advance:
        advance(65_536)
        advance(65_536, note="from example.org")

Output goes to stdout; short work writes nothing to a log. Within `heard_by` a listener gets it instead. A
process whose output is read by a program of ours (DIGITS_FOLLOWED is set) writes it as lines for `parse`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

EVERY = 5.0  # seconds between two plain lines; work that ends sooner writes none
OFTEN = 0.25  # seconds between two reports to a listener
FOLLOWED = "DIGITS_FOLLOWED"  # set in the environment: a program of ours reads the output
MARK = "\x02"  # begins a line for `parse`; anything else in the output is of libraries


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is. total: None if unknown. unit: of both, empty for mere numbers."""

    description: str
    done: int
    total: int | None = None
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        share = f" {self.done / self.total:4.0%}" if self.total else ""
        amount = _amount(self.done, self.total, self.unit)
        return f"{self.description}{share} {amount} {self.note}".rstrip()


class Listener(Protocol):
    """What takes the lines and the progress of work in place of stdout."""

    def say(self, line: str) -> None:
        """Take a line for the user."""

    def move(self, progress: Progress) -> None:
        """Take how far the work is."""


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


class _Writer:
    """The listener of a process that is followed: it writes lines for `parse`."""

    def say(self, line: str) -> None:
        self._write({"say": line})

    def move(self, progress: Progress) -> None:
        self._write(asdict(progress))

    def _write(self, event: dict[str, object]) -> None:
        print(MARK + json.dumps(event), flush=True)  # noqa: T201 - what `parse` reads


_listeners: list[Listener] = []  # the last one listens


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Give the listener what this process says until the end of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _listener() -> Listener | None:
    if _listeners:
        return _listeners[-1]
    return _Writer() if FOLLOWED in os.environ else None


def parse(line: str) -> str | Progress | None:
    """Return what a followed process said in a line: a text or its progress; None in any other line."""
    if not line.startswith(MARK):
        return None
    try:
        event = json.loads(line.removeprefix(MARK))
        return str(event["say"]) if "say" in event else Progress(**event)
    except (ValueError, TypeError):  # cut off, or another program's
        return None


def say(line: str) -> None:
    """Print one line for the user, at once."""
    if listener := _listener():
        listener.say(line)
    else:
        print(line, flush=True)  # noqa: T201 - what a person reads


@contextlib.contextmanager
def bar(description: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
    """Show a bar over `total` things (None: unknown) and yield what advances it; `unit="bytes"` shows MB."""
    if listener := _listener():
        shown = _reported(listener, description, total, unit)
    else:
        shown = (_rich if sys.stdout.isatty() else _plain)(description, total, unit)
    with shown as advance:
        yield advance


@contextlib.contextmanager
def _reported(listener: Listener, description: str, total: int | None, unit: str) -> Iterator[Advance]:
    done, last = 0, time.monotonic()
    listener.move(Progress(description, 0, total, unit))

    def advance(amount: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += amount
        if time.monotonic() - last >= OFTEN or done == total:
            listener.move(Progress(description, done, total, unit, note))
            last = time.monotonic()

    yield advance


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
    at, last_said = Progress(description, 0, total, unit), time.monotonic()
    spoke = False

    def advance(amount: int = 1, note: str = "") -> None:
        nonlocal at, last_said, spoke
        at = Progress(description, at.done + amount, total, unit, note)
        if time.monotonic() - last_said >= EVERY:
            say(str(at))
            last_said, spoke = time.monotonic(), True

    yield advance
    if spoke:
        say(str(at))


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        return f"{done / 1e6:.1f}" + (f"/{total / 1e6:.1f} MB" if total else " MB")
    return f"{done}" + (f"/{total}" if total else "") + (f" {unit}" if unit else "")


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number of things: 1 rule, 1,000 rules. plural: where it is not the noun and an s."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
