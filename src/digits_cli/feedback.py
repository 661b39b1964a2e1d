"""`digits feedback`: reviews corrections that people made, and exports them as a batch for retraining."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import io
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.app.feedback.review import Terminal
    from serving.app.feedback.schema import Row
    from serving.app.feedback.store import FeedbackStore

MOST_SHOWN = 400  # images on a sheet


async def list_corrections(store: FeedbackStore, given: argparse.Namespace) -> int:
    """Print corrections, the oldest first: a table, or one line of JSON each."""
    from rich.markup import escape

    from digits_cli import project
    from serving.app.feedback import review

    found = await review.rows(store, given.state)
    if given.json:
        for row in found:
            print(json.dumps(_plain(row), sort_keys=True))  # noqa: T201
        return 0
    table = project.table("id", "received", "state", "kind", "person", "model", "reviewer", "source", "batch")
    for row in found:
        person = review.persons_label(row)
        person += "" if row.final == row.label else f", reviewer: {review.shown_label(row.final)}"
        model = "" if row.said is None else review.shown_label(row.said)
        model += "" if row.confidence is None else f" {row.confidence:.1%}"
        at = row.received.strftime("%Y-%m-%d %H:%M")
        cells = (row.id[:8], at, row.state, row.kind, person, model, row.reviewer, row.source, row.batch)
        table.add_row(*(escape(cell or "") for cell in cells))
    console = project.console()
    console.print(table if found else "no corrections")
    return 0


async def write_sheet(store: FeedbackStore, given: argparse.Namespace) -> int:
    """Write a picture of the corrections that await review: digits in rows, lines below them."""
    import numpy as np
    from PIL import Image

    from digits import files
    from digits.runtime.progress import count
    from digits.validate.contact_sheet import contact_sheet
    from serving.app.feedback import DIGIT, LINE, PENDING, review
    from serving.app.feedback.corrections import levels
    from serving.app.feedback.review import line_sheet

    def caption(row: Row, between: str) -> str:
        model = "–" if row.said is None else review.shown_label(row.said)
        return between.join((row.id[:8], f"person {review.persons_label(row)}", f"model {model}"))

    waiting = await review.counts(store)
    found = await review.rows(store, PENDING, MOST_SHOWN)
    title = f"{len(found)} of {count(waiting[PENDING], 'correction')} awaiting review"
    digits, lines = ([row for row in found if row.kind == kind] for kind in (DIGIT, LINE))
    images = np.array([levels(row.kind, row.image) for row in digits], np.uint8).reshape(-1, 28, 28)
    sheet = contact_sheet(images, [caption(row, "\n") for row in digits], title)
    pictures = [levels(row.kind, row.image) for row in lines]
    below = line_sheet(pictures, [caption(row, "  ") for row in lines], sheet.shape[1])
    stream = io.BytesIO()
    Image.fromarray(np.vstack([sheet, below])).save(stream, "PNG")
    files.write_bytes(given.file, stream.getvalue())
    print(f"{given.file}: {title}")  # noqa: T201
    return 0


def _plain(row: Row) -> dict[str, Any]:
    """Return the fields of a correction, all but its pixels, as plain values."""
    names = ("id", "kind", "digest", "label", "said", "confidence", "version", "source", "mode", "state")
    plain: dict[str, Any] = {name: getattr(row, name) for name in (*names, "agreed", "reviewer", "batch")}
    plain["received"] = row.received.isoformat()
    return plain | {"reviewed": row.reviewed.isoformat() if row.reviewed else None}


HELP = "review the corrections that people made on the page, and export them for retraining"
FILE = Path(".digits/feedback.db")

EPILOG = """\
examples:
  digits feedback list --state pending
  digits feedback review
  digits feedback export --inbox inbox

exit codes: 0 done, 2 wrong arguments, 3 no such correction,
6 the store can't be used, or it is decided already
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands and their options."""
    from serving.app.feedback import EXPORTING, STATES

    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=about, description=about)
        made.add_argument(
            "--feedback", metavar="URL", help=f"sqlite:///FILE or postgresql://…; default: {FILE}"
        )
        return made

    def names_reviewer(made: argparse.ArgumentParser) -> None:
        made.add_argument("--reviewer", metavar="NAME", help="name of the reviewer; default: your account's")

    action("status", "count the corrections in each state").add_argument(
        "--json", action="store_true", help="print JSON"
    )
    listing = action("list", "list corrections, the oldest first")
    listing.add_argument("--state", choices=STATES, help="only those in this state")
    listing.add_argument("--json", action="store_true", help="print JSON, one line each")
    names_reviewer(action("review", "review the pending corrections one by one on a terminal"))
    for name in ("accept", "reject"):
        made = action(name, f"{name} corrections by their ids, or the beginning of them")
        made.add_argument("id", nargs="+", metavar="ID")
        names_reviewer(made)
        if name == "accept":
            made.add_argument(
                "--label",
                metavar="TEXT",
                help="in place of the person's: a digit; of a line its text, which may be empty",
            )
    sheet = action("sheet", f"write a picture of up to {MOST_SHOWN} pending corrections with their labels")
    sheet.add_argument("file", type=Path, metavar="FILE.png")
    out = action(
        "export", "write the accepted corrections into the retraining inbox, digits and lines as a batch each"
    )
    out.add_argument(
        "--inbox", type=Path, required=True, metavar="DIR", help="the folder of `digits schedule --inbox`"
    )
    delete = action("delete", "delete corrections and their images")
    delete.add_argument("id", nargs="*", metavar="ID")
    deletable = [state for state in STATES if state != EXPORTING]
    delete.add_argument("--state", choices=deletable, help="delete all in this state")


def run(given: argparse.Namespace) -> int:
    """Run one subcommand on the store. Raises DigitsError when it can't be done."""
    from digits_cli import project
    from serving.app.settings import FEEDBACK

    url = given.feedback or os.environ.get(FEEDBACK) or f"sqlite:///{project.project_root() / FILE}"
    return asyncio.run(_on(url, given))


async def _on(url: str, given: argparse.Namespace) -> int:
    from serving.app.feedback.store import FeedbackStore

    if given.action == "review":
        _refuse_without_terminal()
    store = FeedbackStore(url)
    try:
        await store.open()
        return await ACTIONS[given.action](store, given)
    finally:
        await store.close()


async def _status(store: FeedbackStore, given: argparse.Namespace) -> int:
    from rich.markup import escape

    from digits_cli import project
    from serving.app.feedback import review

    found = await review.counts(store)
    if given.json:
        project.print_json(found)
        return 0
    console = project.console()
    console.print(f"[dim]{'store':<9}[/] {escape(store.shown)}")
    for state, count in found.items():
        console.print(f"[dim]{state:<9}[/] {count}")
    if found["exporting"]:
        console.print("an export was interrupted: the next one finishes it")
    return 0


async def _review(store: FeedbackStore, given: argparse.Namespace) -> int:
    from serving.app.feedback import review

    tally = await review.review(store, _terminal(), given.reviewer or getpass.getuser())
    print(  # noqa: T201
        f"{tally.accepted} accepted, {tally.rejected} rejected, {tally.skipped} skipped"
        + ("; `digits feedback export --inbox DIR` passes them to retraining" if tally.accepted else "")
    )
    return 0


def _terminal() -> Terminal:
    """Return this process's terminal: single keys without Enter, and texts."""
    import click

    from serving.app.feedback.review import Terminal

    pressed: list[str] = []  # several keys may arrive at once

    async def key() -> str:
        """Wait for a key; "" at Ctrl-D, or when the terminal is gone."""
        if not pressed:
            try:
                with _interruptible():
                    await asyncio.sleep(0)  # an earlier Ctrl-C ends it here
                    pressed.extend(click.getchar() or "")
            except (EOFError, OSError):
                return ""
        first = pressed.pop(0) if pressed else ""
        if first == "\x03":  # click knows Ctrl-C and Ctrl-D only when they come alone
            raise KeyboardInterrupt
        return "" if first == "\x04" else first

    async def text() -> str | None:
        """Wait for a text that is ended by Enter; None at Ctrl-D, or when the terminal is gone."""
        pressed.clear()  # they were meant for this text, and would decide on other corrections
        try:
            with _interruptible():
                return input("the line says (nothing: no digits; Ctrl-D: leave it): ").strip()
        except (EOFError, OSError):
            return None

    return Terminal(key, text, print)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the waiting: asyncio.run's own handler would do so only after one more key."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


async def _decide(store: FeedbackStore, given: argparse.Namespace) -> int:
    from serving.app.feedback import ACCEPTED, REJECTED, review

    state, label = (ACCEPTED, given.label) if given.action == "accept" else (REJECTED, None)
    reviewer = given.reviewer or getpass.getuser()
    for row in [await review.find(store, start) for start in given.id]:
        await review.decide(store, row.id, state, reviewer=reviewer, label=label)
        final = review.shown_label(row.label if label is None else label)
        print(f"{row.id} {state}" + (f" as {final}" if state == ACCEPTED else ""))  # noqa: T201
    return 0


async def _export(store: FeedbackStore, given: argparse.Namespace) -> int:
    from digits.runtime.progress import count
    from serving.app.feedback.export import export

    done = await export(store, given.inbox)
    for batch in done:
        again = ", begun by an interrupted export" if batch.again else ""
        print(f"{batch.path}: {count(batch.rows, 'correction')}{again}")  # noqa: T201
    if not done:
        print("no newly accepted corrections to export: see `digits feedback review`")  # noqa: T201
    return 0


async def _delete(store: FeedbackStore, given: argparse.Namespace) -> int:
    from digits.runtime.errors import ParamsError
    from serving.app.feedback import review

    if bool(given.id) == bool(given.state):
        raise ParamsError("give either the ids of corrections or --state")
    gone = await review.delete(store, state=given.state) if given.state else 0
    for row in [await review.find(store, start) for start in given.id]:
        gone += await review.delete(store, identity=row.id)
    kept = (
        "" if given.state or gone == len(given.id) else "; those of an unfinished export stay until it ends"
    )
    print(f"{gone} deleted{kept}")  # noqa: T201
    return 0


def _refuse_without_terminal() -> None:
    from digits.runtime.errors import ParamsError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ParamsError(
            "reviewing needs a terminal; without one: `digits feedback sheet`, `accept` and `reject`"
        )


ACTIONS: dict[str, Callable[[FeedbackStore, argparse.Namespace], Awaitable[int]]] = {
    "status": _status,
    "list": list_corrections,
    "review": _review,
    "accept": _decide,
    "reject": _decide,
    "sheet": write_sheet,
    "export": _export,
    "delete": _delete,
}
