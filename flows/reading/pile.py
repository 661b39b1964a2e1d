"""Reads a pile of scans into a table: the driver. Nothing is lost and nothing is twice, whatever is killed.

It lists the pile into a plan on the disk, hands the chunks whose part of the table is missing to Dask
workers, a few at a time, and writes each part by one rename. It holds no picture, only the rows of the chunks
that are being read. The same command after an interruption goes on; after new files came, it reads these.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits import files
from digits.runtime import locks
from digits.runtime.errors import DigitsError, ParamsError
from digits.runtime.progress import Advance, bar, count, say
from flows.reading import chunks, models, sources, table
from flows.reading.chunks import Chunk
from flows.reading.table import Summary
from flows.reading.worker import Broken, Failure, How, Part, read_files
from flows.search import workers

if TYPE_CHECKING:
    from distributed import Client, Future

LAYOUT = 1  # of the table; another one is another pile
AHEAD = 2  # chunks that are handed out for each thread: one is read, one waits
LOOK = 5.0  # seconds between looks at the workers
SHORT = {  # what Dask keeps of its past, which would grow with the pile
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 100,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.admin.system-monitor.log-length": 100,
    "distributed.scheduler.allowed-failures": 1,  # deaths of workers that one chunk survives
}
DEADLY = "a worker process ended while it was read, twice: it is damaged, or takes more memory than there is"


@dataclass(frozen=True)
class Order:
    """What to read, how, and where the table goes. retry: read chunks with failures again."""

    sources: tuple[str, ...]
    folder: Path
    how: How
    csv: Path | None = None
    chunk: int = chunks.FILES
    retry: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it the same pile: a table holds one."""
        options = {"format": self.how.form, "least": self.how.least, "chunk": self.chunk}
        return {"layout": LAYOUT, "sources": list(self.sources), **options}


@dataclass
class _Piece:
    """Files of a chunk that are read by one call: all of them, unless that ended workers.

    alone: a single file under suspicion is read while nothing else is, since Dask suspects all that a worker
    held when it ended.
    """

    chunk: Chunk
    first: int
    last: int
    alone: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.chunk.names[self.first : self.last]

    def suspects(self) -> list[_Piece]:
        """The first half of the files, and the rest; a single file alone."""
        if len(self.names) == 1:
            return [replace(self, alone=True)]
        middle = (self.first + self.last) // 2
        return [_Piece(self.chunk, self.first, middle), _Piece(self.chunk, middle, self.last)]


def read_pile(order: Order, at_once: int = 1, scheduler: str | None = None) -> Summary:
    """Read what is missing and finish the table. at_once: processes here; or the address of a scheduler.

    Raises ParamsError for bad options and sources, DataError for what can't be listed, ServingError when no
    server answers, StoreError for a local model that can't be loaded, DigitsError for a lost scheduler.
    """
    sources.check(order.sources, order.how.base)
    order.folder.mkdir(parents=True, exist_ok=True)
    with locks.hold(order.folder / ".lock", lambda pid: _busy(order.folder, pid)):
        _identify(order)
        plan = order.folder / ".plan"
        total, missing, done = _list(order, plan)
        if missing:
            if order.how.asking.local is None:
                for problem in models.check(order.how.asking):
                    say(f"a server is passed over: {problem}")
            _read(order, plan, total, done, at_once, scheduler)
        live = {chunk.digest for chunk in _chunks(plan)}
        table.remove_others(order.folder, live)
        summary = table.summarize(order.folder, (chunk.digest for chunk in _chunks(plan)))
        if order.csv:
            table.write_csv(order.folder, (chunk.digest for chunk in _chunks(plan)), order.csv)
    return summary


def _busy(folder: Path, pid: str) -> DigitsError:
    return DigitsError(f"process {pid} is reading into {folder}: wait for it, or take another folder")


def _identify(order: Order) -> None:
    """Refuse a folder that holds another pile, or files that are not ours."""
    record = order.folder / "pile.json"
    if record.exists():
        if (found := files.read_json(record)) != order.identity:
            other = [key for key in order.identity if found.get(key) != order.identity[key]]
            raise ParamsError(
                f"{order.folder} is the table of a pile with other {', '.join(other)} (see pile.json in it): "
                "give the same ones, or take another folder"
            )
    elif any(each.name not in (".lock", ".plan") for each in order.folder.iterdir()):
        raise ParamsError(f"{order.folder} holds other files: take a new folder for the table")


def _list(order: Order, plan: Path) -> tuple[int, int, int]:
    """Write the plan, a line a chunk; return how many files there are, chunks missing, and files done."""
    total = missing = done = cut = 0
    how = json.dumps(order.identity, sort_keys=True)
    found = sources.inputs(order.sources, order.how.base)
    with (
        bar("listing files") as advance,
        files.replacing(plan) as new,
        new.open("w", encoding="utf-8", errors="surrogateescape") as lines,
    ):
        for chunk in chunks.cut(found, how, order.chunk):
            here = _is_done(order, chunk)
            lines.write(json.dumps([chunk.digest, here, chunk.names]) + "\n")
            total += len(chunk.names)
            cut += 1
            missing += not here
            done += len(chunk.names) if here else 0
            advance(len(chunk.names))
    if not total:
        raise ParamsError(f"{', '.join(order.sources)}: no picture and no PDF: expected scans to read")
    files.write_json(order.folder / "pile.json", order.identity)
    before = f", {done:,} of them read before," if done else ""
    say(f"{count(total, 'file')}{before} in {count(cut, 'chunk')}")
    return total, missing, done


def _is_done(order: Order, chunk: Chunk) -> bool:
    if not table.path(order.folder, chunk.digest).exists():
        return False
    return not (order.retry and table.notes(order.folder, chunk.digest)[1])


def _chunks(plan: Path, *, missing: bool = False) -> Iterator[Chunk]:
    with plan.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            digest, here, names = json.loads(line)
            if not (missing and here):
                yield Chunk(digest, tuple(names))


def _read(order: Order, plan: Path, total: int, done: int, at_once: int, scheduler: str | None) -> None:
    import dask
    from distributed.comm import CommClosedError

    warm = functools.partial(models.warm, order.how.asking)
    failed = 0
    with (
        dask.config.set(SHORT),
        bar("reading", total) as advance,
        workers.pool(at_once, scheduler, warm) as client,
    ):
        advance(done, note="starting")
        pace = _Pace(total - done, advance)

        def keep(chunk: Chunk, part: Part) -> None:
            nonlocal failed
            table.write(order.folder, chunk.digest, part)
            failed += len(part.failures)
            pace.add(part.files, failed)

        for name in ("distributed.client", "distributed.scheduler"):  # what is lost is told, or read again
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            _drive(client, _chunks(plan, missing=True), order.how, keep)
        except (CommClosedError, CancelledError):
            raise _lost() from None


class _Pace:
    """Shows how far it is, how fast, and how long it will take."""

    def __init__(self, total: int, advance: Advance) -> None:
        self.total, self.advance, self.done, self.began = total, advance, 0, time.monotonic()

    def add(self, amount: int, failed: int) -> None:
        self.done += amount
        rate = self.done / max(time.monotonic() - self.began, 1e-3)
        left = (self.total - self.done) / rate
        bad = f", {failed:,} failed" if failed else ""
        self.advance(amount, note=f"{rate:,.1f}/s, {duration(left)} left{bad}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 5.5 h, 3.2 days."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def _drive(client: Client, wanted: Iterator[Chunk], how: How, keep: Callable[[Chunk, Part], None]) -> None:
    """Have all chunks read, a few at a time, and hand on what each gave."""
    import distributed

    whole = (_Piece(chunk, 0, len(chunk.names)) for chunk in wanted)
    again: deque[_Piece] = deque()  # what ended workers: first what is to be read alone
    running: dict[Future, _Piece] = {}
    parts: dict[str, dict[int, Part]] = {}  # of a chunk in pieces, by the place of their first file
    most, looked = AHEAD, 0.0
    while True:
        if time.monotonic() - looked > LOOK:
            most, looked = AHEAD * max(1, _threads(client)), time.monotonic()
        quiet = any(piece.alone for piece in [*running.values(), *list(again)[:1]])
        room = (0 if running else 1) if quiet else most
        while len(running) < room and (piece := again.popleft() if again else next(whole, None)):
            running[client.submit(read_files, piece.names, how, pure=False)] = piece
        if not running:
            return
        with contextlib.suppress(TimeoutError):
            distributed.wait(list(running), timeout=LOOK, return_when="FIRST_COMPLETED")
        # lost: its worker ended before the result was fetched, so Dask has it read again; it may become that
        # at any time, and `result` then waits
        for future in [each for each in running if each.status not in ("pending", "lost")]:
            piece = running.pop(future)
            part = _result(future, piece)
            if part is None:
                suspects = piece.suspects()
                (again.extendleft if suspects[0].alone else again.extend)(suspects)
                continue
            own = parts.setdefault(piece.chunk.digest, {})
            own[piece.first] = part
            if sum(each.files for each in own.values()) == len(piece.chunk.names):
                joined = Part()
                for first in sorted(own):
                    joined.add(own[first])
                del parts[piece.chunk.digest]
                keep(piece.chunk, joined)


def _threads(client: Client) -> int:
    try:
        return sum(client.nthreads().values())
    except (OSError, TimeoutError):
        raise _lost() from None


def _lost() -> DigitsError:
    return DigitsError("the Dask scheduler is gone: start it, and run the same command again to go on")


def _result(future: Future, piece: _Piece) -> Part | None:
    """What reading a piece gave; None if that ended workers, and it is not sure which file it was."""
    import distributed
    from distributed.comm import CommClosedError

    try:
        given: Part | Broken = future.result()
    except distributed.KilledWorker:
        if not piece.alone:
            return None
        return Part(failures=[Failure(piece.names[0], None, DEADLY)], files=1)
    except (CommClosedError, CancelledError):
        raise
    except Exception as failure:  # such as a worker without this project
        raise DigitsError(f"the workers can't read ({type(failure).__name__}: {failure})") from None
    if isinstance(given, Part):
        return given
    error = DigitsError(f"{given.line}: run the same command again to go on")
    error.exit_code = given.exit_code
    raise error


def told(summary: Summary, folder: Path) -> str:
    """The summary for a person."""
    share = f" ({summary.accepted / summary.fields:.1%})" if summary.fields else ""
    lines = [
        f"{summary.read:,} of {count(summary.files, 'file')} read, {count(summary.pages, 'page')}",
        f"{count(summary.fields, 'field')}, {summary.accepted:,} accepted{share}",
        f"table: {folder / table.TABLE}",
    ]
    if summary.failed:
        lines.append(f"{count(summary.failed, 'file')} failed, see {folder / 'failed.csv'}")
    return "\n".join(lines)
