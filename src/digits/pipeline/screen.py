"""What a person sees of a run: one line a step, live on a terminal; the whole log goes to a file.

    with Screen(Console(), log) as screen, screen.step("train") as step:
        step.move(Progress("training", 340, 2800, "steps"))
        step.result = "99.4% on validation"

prints `✓ train  78 s  99.4% on validation` at the end of the block. The times of the steps add up to the
time since the screen was made: what passes between two steps counts for the second. Elsewhere than on a
terminal, and with `verbose`, what a step says comes as lines of its own, and its progress every half minute.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from digits.runtime import progress
from digits.runtime.progress import Progress

HALF_MINUTE = 30.0
SHORT = 5.0  # seconds between two lines about progress in the log file
KEPT = 20  # log files
ROOM = 3  # columns right of the live line, for the ^C of a terminal, which else breaks the line
NAME, TIME, BAR = 11, 10, 20  # columns
MARKS = {  # of a step's outcome: sign, the same in ASCII, style
    "ran": ("✓", "+", "green"),
    "cached": ("·", ".", "dim"),
    "restored": ("·", ".", "dim"),
    "failed": ("✗", "x", "bold red"),
    "refused": ("✗", "x", "bold red"),
    "stopped": ("✗", "x", "yellow"),
}


class Step:
    """A part of a run. outcome: of MARKS. result: what its last line says; default: what it said last."""

    def __init__(self, screen: Screen, name: str, began: float, outer: Step | None) -> None:
        self.name, self.began, self.outer = name, began, outer
        self.outcome = "ran"
        self.result = ""
        self.shown = True  # whether it leaves a line
        self.progress: Progress | None = None
        self._held = ""
        self._screen = screen
        self._from = self._at = (began, 0)  # time and amount: between these two the speed is measured
        self._bar_began = self._last_line = self._last_log = began

    def say(self, line: str) -> None:
        """Show a line of the step, and take it for its result."""
        self.result = line.removeprefix(f"{self.name}: ")
        self._screen.log(line)
        self._flush()
        self._held = self.result

    def move(self, progress: Progress) -> None:
        """Show how far the step is."""
        if self.outer:
            self.outer.move(progress)
            return
        self._flush()
        now = time.monotonic()
        if self.progress is None or self.progress.description != progress.description:
            self._bar_began = self._last_line = now
        if now - self._bar_began < 1.0:  # a step that goes on begins with what was done earlier
            self._from = (now, progress.done)
        self._at = (now, progress.done)
        self.progress = progress
        if now - self._last_log >= SHORT:
            self._last_log = now
            self._screen.log(str(progress))
        if not self._screen.live and now - self._last_line >= HALF_MINUTE:
            self._last_line = now
            self._screen.line(f"  {self.name:<{NAME}} {progress}{self._left()}")

    def note(self, line: str) -> None:
        """Keep a line that a library or another program wrote: it goes to the log."""
        self._screen.note(line)

    def end(self) -> None:
        """Print what was said and is not the result."""
        if self._held != self.result:
            self._flush()

    def _flush(self) -> None:
        """Print what was said last, which may turn out to be the result: then it is printed once."""
        if self._held and not self._screen.live and not self.outer:
            self._screen.line(f"  {self.name:<{NAME}} {self._held}")
        self._held = ""

    def where(self) -> str:
        """Where a run that is stopped now stands, and what the same command does then."""
        at = self.progress
        if at and at.unit == "steps" and at.done:  # those of a training, which are kept
            return (
                f"stopped in {self.name} at step {at.done:,} of {at.total or 0:,}: `make run` goes on there"
            )
        return f"stopped in {self.name}: `make run` goes on there, what is finished is kept"

    def line(self) -> Text:
        """The line while it is at work."""
        now = time.monotonic()
        text = Text(
            f"{self.name:<{NAME}} {seconds(now - self.began):>{TIME}}  ", no_wrap=True, overflow="ellipsis"
        )
        at = self.progress
        if at and at.total and at.done < at.total:
            full = round(BAR * at.done / at.total)
            text.append("━" * full, style="cyan").append("━" * (BAR - full), style="dim")
            text.append(f" {at.done / at.total:4.0%}{self._left()}  ").append(
                at.note or at.description, style="dim"
            )
        else:
            text.append(at.description if at else self.result, style="dim")
        return text

    def _left(self) -> str:
        """How long it will take yet, once that can be told."""
        (since, first), (until, done), at = self._from, self._at, self.progress
        if not at or not at.total or done <= first or until - since < 1.0:
            return ""
        left = (at.total - done) * (until - since) / (done - first) - (time.monotonic() - until)
        return f", {seconds(left)} left" if left > 0 else ""


class Screen:
    """A run's lines. log: the file for all of them, None for none. verbose: show these on the screen too.

    stamped: begin each line of the screen with the time. age: seconds that the process had run before, which
    count for the first step.
    """

    def __init__(
        self,
        console: Console,
        log: Path | None = None,
        *,
        verbose: bool = False,
        stamped: bool = False,
        age: float = 0.0,
    ) -> None:
        self.console, self.verbose, self._stamped = console, verbose, stamped
        self.live = console.is_terminal and not verbose
        self.began = self._last = time.monotonic() - age
        self._open: Step | None = None
        self.stopped_in: Step | None = None  # the innermost step that an exception has ended
        self._last_line = ""
        self._file = None if log is None else log.open("w", encoding="utf-8", buffering=1)
        self._ascii = not console.encoding.lower().startswith("utf")

    def __enter__(self) -> Screen:
        _screens.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _screens.remove(self)
        if self._file:
            self._file.close()

    def log(self, line: str) -> None:
        """Write a line to the log, once where it comes by two ways."""
        if self._file and line.strip() and line != self._last_line:
            self._last_line = line
            self._file.write(f"{datetime.now(UTC):%H:%M:%S} {line.rstrip()}\n")

    def note(self, line: str) -> None:
        """Keep a line that is for the log; `verbose` shows it too."""
        self.log(line)
        if self.verbose and line.strip():
            self.line(f"    {line.rstrip()}", style="dim")

    def line(self, text: str, style: str = "") -> None:
        """Print a line, which on a terminal is cut where the screen ends."""
        self._print(Text(text, style=style))

    def _print(self, text: Text) -> None:
        if self._stamped:
            text = Text(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} ").append_text(text)
        if self.live:
            self.console.print(text, no_wrap=True, overflow="ellipsis", soft_wrap=False)
        else:
            self.console.print(text, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a step until the end of the block; it gets what this process says.

        Of a step inside another one only the progress is shown, as the other's.
        """
        made = Step(self, name, self._last, self._open)
        self.log(f"--- {name}")
        try:
            with progress.heard_by(made), self._opened(made):
                yield made
        except BaseException as error:
            made.outcome = "failed" if isinstance(error, Exception) else "stopped"
            made.result = " ".join(str(error).split()) or type(error).__name__
            if self.stopped_in is None:
                self.stopped_in = made
            raise
        finally:
            if made.shown and not made.outer and made.outcome != "stopped":
                self._end(made)

    @contextlib.contextmanager
    def _opened(self, step: Step) -> Iterator[None]:
        before, self._open = self._open, step
        try:
            with contextlib.nullcontext() if step.outer or not self.live else self._lively(step):
                yield
        finally:
            self._open = before

    def _lively(self, step: Step) -> Live:
        spinner = Spinner("line" if self._ascii else "dots", style="cyan")

        def frame() -> Table:
            spinning = Table.grid(padding=(0, 1), expand=True)
            spinning.width = self.console.width - ROOM
            spinning.add_column(width=1)
            spinning.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
            spinning.add_row(spinner, step.line())
            return spinning

        return Live(get_renderable=frame, console=self.console, transient=True, refresh_per_second=8)

    def _end(self, step: Step) -> None:
        step.end()
        now = time.monotonic()
        sign, plain, style = MARKS[step.outcome]
        took = seconds(now - self._last)
        self._last = now
        self.log(f"--- {step.name} {step.outcome} in {took}")
        text, quiet = Text(), "dim" if style == "dim" else ""
        text.append(plain if self._ascii else sign, style=style).append(f" {step.name:<{NAME}}", style=quiet)
        text.append(f" {took:>{TIME}}  ", style="dim").append(step.result, style=quiet)
        self._print(text)

    def where(self) -> str:
        """Where a run stands that an exception has stopped, and where the next one goes on."""
        step = self.stopped_in
        return step.where() if step else "stopped before anything was done"

    def total(self) -> str:
        """The time since the screen was made."""
        return seconds(time.monotonic() - self.began)

    @contextlib.contextmanager
    def logs_of(self, name: str) -> Iterator[None]:
        """Keep what a Python logger gets, such as another library's, in the log."""
        handler = _Handler(self)
        logging.getLogger(name).addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger(name).removeHandler(handler)


_screens: list[Screen] = []  # the last one is in use


def current() -> Screen:
    """The screen in use; where there is none, as in a process that Prefect started, plain lines on stderr."""
    if _screens:
        return _screens[-1]
    return Screen(Console(stderr=True, force_terminal=False, width=1000), stamped=True)


class _Handler(logging.Handler):
    """Passes what is logged to a screen's log, stack traces too."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.INFO)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.note(self.format(record))


def log_of(root: Path) -> Path:
    """A new log file in a project's folder; the oldest are deleted."""
    folder = root / ".digits" / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"))[: 1 - KEPT]:
        old.unlink(missing_ok=True)
    return folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.log"


def seconds(value: float) -> str:
    """A time for people: 1.4 s, 78 s, 12 min 5 s, 3 h 2 min."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
