"""Helpers of the commands: the project's folder, its store, a console, tables, the time."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from digits.runtime.progress import Progress
    from serving.store.store import Store


WIDTH = 160  # columns of a table where there is no terminal to ask


def project_root() -> Path:
    """Return the nearest folder with a dvc.yaml, here or above. Raises DigitsError outside a project."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").exists():
            return folder
    raise DigitsError(f"no dvc.yaml in {here} or above it: run this in the project's folder")


def store_of(root: Path) -> Store:
    """Return the store of published versions in a project's folder."""
    from serving.store.store import Store

    return Store(root / "models" / "serving")


def console(*, error: bool = False) -> Console:
    """Return a console that never breaks lines; without a terminal, WIDTH columns wide. error: on stderr."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(highlight=False, soft_wrap=True, width=None if stream.isatty() else WIDTH, stderr=error)


def table(*columns: str) -> Table:
    """Return a plain table with these columns."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def rows(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Print facts, each a name and a text in rich's markup; a text's further lines are indented.

    A terminal gets long texts broken between words; elsewhere they stay whole.
    """
    if console.is_terminal:
        from rich.table import Table

        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(style="dim", min_width=9)
        grid.add_column(overflow="fold")
        for fact in facts:
            grid.add_row(*fact)
        console.print(grid, soft_wrap=False)
        return
    for name, text in facts:
        first, *others = text.split("\n")
        console.print(f"[dim]{name:<9}[/] {first}")
        for line in others:
            console.print(f"{'':<9} {line}")


@contextlib.contextmanager
def spoken_on_stderr(wanted: bool) -> Iterator[None]:
    """Have what is said until the end of the block go to stderr, where standard output is for JSON."""
    from digits.runtime import progress

    with progress.heard_by(_Stderr()) if wanted else contextlib.nullcontext():
        yield


class _Stderr:
    """A listener."""

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def move(self, progress: Progress) -> None:
        pass


def print_json(value: Any) -> None:
    """Print a value as JSON with sorted keys."""
    from digits import files

    print(files.to_json(value), end="")  # noqa: T201


def now() -> str:
    """Return the time in UTC, to the second: 2030-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def version_number(text: str) -> int:
    """Parse a version number from the command line; an argparse type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a version number; `digits versions` lists them")
    return int(text)
