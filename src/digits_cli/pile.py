"""The command line of `digits read` for piles: scans of any number, into a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.reading.pile import Order

PROG = "digits read"
OPTIONS = ("--table", "--workers", "--scheduler", "--local", "--saved-model")  # each makes it a pile
EPILOG = """\
examples:
  digits read scans --table read --local --workers 2             the version in service, in two processes
  digits read scans 'more/**/*.tif' form.pdf --table read        with the model server on this machine
  digits read @list.txt s3://bucket/scans --table read --server a:8500 --server b:8500 --workers 8
  digits read s3://bucket/scans --table read --scheduler tcp://host:8786 --local --csv read.csv

The same command after an interruption of any kind goes on, and after new scans came it reads these.

exit codes: 0 all read, 1 some were not (read/failed.csv has the reasons) or the table is not writable,
2 wrong usage, 3 a folder can't be listed, 6 no version to load, 7 no server answered, 130 interrupted
"""


def is_pile(given: Sequence[str]) -> bool:
    """Whether these arguments are of a pile: an option says so, or a source that only a pile may have."""
    options = {each.partition("=")[0] for each in given}
    sources = [each for each in given if each.startswith("@") or each.lower().endswith(".pdf")]
    return bool(
        options & set(OPTIONS) or sources or [each for each in given if each.startswith(("s3:", "gs:"))]
    )


def parser() -> argparse.ArgumentParser:
    """The parser of a pile's options."""
    made = argparse.ArgumentParser(
        prog=PROG,
        description="Read a pile of scans into a table: folders with all below them, globs, lists, object\n"
        "stores, PDFs and TIFFs page by page.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a scan, a folder, a glob, @LIST with one of these a line, s3://… or gs://…",
    )
    add(
        "--table", type=Path, metavar="FOLDER", help="where the table goes: Parquet, failed.csv, summary.json"
    )
    add("--csv", type=Path, metavar="FILE", help="all rows of the table as CSV as well")
    add("--workers", type=int, default=1, metavar="N", help="processes on this machine; default: 1")
    add(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://host:8786, instead of processes here"
    )
    add(
        "--server",
        action="append",
        metavar="HOST:PORT",
        help="a model server, asked in turn with the others where given several times; default: localhost",
    )
    add("--transport", choices=("grpc", "rest"), default="grpc", help="default: grpc")
    add("--model", metavar="NAME", help="of the servers; default: digits")
    add("--timeout", type=float, default=10.0, metavar="S", help="for each question to a server; default: 10")
    add("--local", action="store_true", help="no server: each worker loads the version in service")
    add("--saved-model", type=Path, metavar="FOLDER", help="no server: each worker loads this SavedModel")
    add("--least", type=float, metavar="P", help="confidence below which a field is not accepted")
    add("--format", metavar="FORMAT", help="what each field is, as for photos: amount, digits:5 …")
    add("--chunk", type=int, default=200, metavar="N", help="files that are read together; default: 200")
    add("--retry", action="store_true", help="read chunks in which files failed again")
    add("--json", action="store_true", help="print the summary as JSON")
    return made


def run(given: Sequence[str]) -> int:
    """Read a pile; print its summary."""
    from digits.runtime.errors import ParamsError
    from digits_cli import project
    from flows.reading import pile

    options = parser().parse_args(given)
    if options.table is None:
        raise ParamsError(
            f"{options.sources[0]}: a pile goes into a table: name a folder for it with --table"
        )
    if options.workers < 1 or options.chunk < 1:
        raise ParamsError("--workers and --chunk: expected whole numbers of at least 1")
    if (options.local or options.saved_model) and options.server:
        raise ParamsError("--server, or a model of the workers' own (--local, --saved-model), but not both")
    if options.csv and not options.csv.absolute().parent.is_dir():
        raise ParamsError(f"--csv {options.csv}: no such folder: make it first")
    with project.spoken_on_stderr(options.json):
        summary = pile.read_pile(_order(options), options.workers, options.scheduler)
    if options.json:
        project.print_json(vars(summary))
    else:
        project.console().print(pile.told(summary, options.table), markup=False)
    return 1 if summary.failed else 0


def _order(options: argparse.Namespace) -> Order:
    from digits.runtime.errors import ParamsError
    from digits_client import BadRequest
    from digits_client.contract import MODEL
    from digits_client.reading.constraints import format_of
    from flows.reading import models, worker
    from flows.reading.pile import Order

    if options.least is not None and not 0 <= options.least <= 1:
        raise ParamsError(f"--least is {options.least:g}: expected a confidence from 0 to 1")
    if options.format is not None:
        try:
            format_of(options.format)
        except BadRequest as error:
            raise ParamsError(str(error)) from None
    local = options.saved_model.absolute() if options.saved_model else _served() if options.local else None
    asking = models.Asking(
        tuple(options.server or ("localhost",)),
        options.transport,
        options.model or MODEL,
        options.timeout,
        local,
    )
    return Order(
        tuple(options.sources),
        options.table,
        worker.How(Path.cwd(), asking, options.least, options.format),
        options.csv,
        options.chunk,
        options.retry,
    )


def _served() -> Path:
    """The folder of the version in service. Raises StoreError before the first promotion."""
    from digits.runtime.errors import StoreError
    from digits_cli import project

    store = project.store_of(project.project_root())
    pointer = store.current()
    if pointer is None:
        raise StoreError(f"no version is promoted: {store.summary()}; or name a model with --saved-model")
    return store.folder / str(pointer.stable)
