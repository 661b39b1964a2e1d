"""`digits-read PHOTO…`: reads the fields of digits on photos. `digits read` is the same under another name.

A line a field: file, kind, text, confidence, and "sure" or "not sure"; aligned on a terminal, else columns
parted by tabs. With --json one object a photo. A folder stands for the pictures in it. A photo that can't be
read is one line on stderr, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits_client.client import DigitClient
from digits_client.contract import MODEL
from digits_client.errors import BadRequest, ServingError, escape_unprintable, one_line
from digits_client.options import TIMEOUT
from digits_client.reading.constraints import format_of
from digits_client.reading.files import Drawn, Table, photos
from digits_client.reading.opening import opened
from digits_client.reading.reader import read
from digits_client.reading.results import Reading, as_tree
from digits_client.reading.score import Score

EPILOG = """\
examples:
  {prog} photo.jpg
  {prog} photos --csv read.csv --out marked
  {prog} receipts --format amount --json

exit codes: 0 all read, 1 some photos refused or output not writable, 2 wrong usage,
7 the server did not answer, 130 interrupted
"""
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]  # title, number of photos

SURE = {True: "sure", False: "not sure"}


def main(argv: Sequence[str] | None = None, prog: str = "digits-read", bar: Bar | None = None) -> int:
    """Run the command on these arguments, by default the process's, and give its exit code.

    bar: shows how far a folder or several photos have got, where lines don't go to standard output.
    """
    escape_unprintable()
    given = _parser(prog).parse_args(argv)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own log lines would come between ours
    try:
        return _run(given, prog, bar or _no_bar)
    except BadRequest as error:  # of an option; a photo's own never gets here
        _complain(prog, error)
        return 2
    except ServingError as error:
        _complain(prog, error)
        return error.exit_code
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        _complain(prog, ServingError(f"can't write {error.filename or 'the answers'} ({error.strerror})"))
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Find and read the digits in photos: one or many, in fields and lines.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="a picture file, or a folder of them")
    parser.add_argument("--out", metavar="PICTURE", help="the photo with boxes; for several photos a folder")
    parser.add_argument(
        "--csv", metavar="FILE", help="one row per field, and one for each photo that was not read"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a photo")
    parser.add_argument(
        "--least",
        type=float,
        metavar="P",
        help="confidence below which a field is not sure; default: the model decides",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="what each field is: amount, score, digits:5 or a regular expression such as '[0-9]{3}-?[0-9]'",
    )
    parser.add_argument(
        "--score",
        metavar="LABELS",
        help="a CSV file with the columns file and text: reads those files, tells how many are read exactly",
    )
    parser.add_argument(
        "--server",
        default="localhost",
        metavar="HOST:PORT",
        help="default: localhost, port 8500 or for rest 8501",
    )
    parser.add_argument("--transport", choices=("grpc", "rest"), default="grpc", help="default: grpc")
    parser.add_argument("--model", default=MODEL, metavar="NAME", help=f"default: {MODEL}")
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="S",
        help=f"seconds for each request to the server; default: {TIMEOUT:g}",
    )
    return parser


def _run(given: argparse.Namespace, prog: str, bar: Bar) -> int:
    if given.least is not None and not 0 <= given.least <= 1:
        raise BadRequest(f"--least is {given.least:g}: expected a confidence from 0 to 1")
    if given.format is not None:
        format_of(given.format)
    if bool(given.photos) == bool(given.score):
        raise BadRequest("expected photos to read, or --score with a table of them, and not both")
    score = None if given.score is None else Score.of(given.score)
    names = photos(given.photos) if score is None else list(score.texts)
    drawn = Drawn(given.out, several=len(names) > 1 or any(Path(each).is_dir() for each in given.photos))
    table = Table(given.csv)
    quiet = (score or table.rows is not None) and not given.json  # a bar has standard output for itself
    failed = 0
    with (
        DigitClient(given.server, given.transport, timeout=given.timeout, model=given.model) as client,
        (bar if quiet else _no_bar)("reading photos", len(names)) as advance,
    ):
        for name in names:
            try:
                photo, made = _read(name, client, given.least, given.format)
            except BadRequest as error:
                failed += 1
                _complain(prog, error)
                table.refused(name, str(error))
                if score:
                    score.refused(name, one_line(str(error)))
                if given.json:
                    print(json.dumps({"file": name, "error": one_line(str(error))}))  # noqa: T201
            else:
                table.add(name, made)
                drawn.add(name, photo, made)
                if score:
                    score.add(name, made)
                if not quiet:
                    _tell(name, made, as_json=given.json)
            advance(1)
    table.write()
    if score:
        print(*score.lines(), sep="\n")  # noqa: T201
    elif quiet:
        print(f"{len(names) - failed} of {len(names)} photos read: {one_line(given.csv)}")  # noqa: T201
    return 1 if failed else 0


def _read(
    name: str, client: DigitClient, least: float | None, form: str | None
) -> tuple[NDArray[np.uint8], Reading]:
    """The pixels of a file, and what they show. Raises BadRequest, which names the file."""
    photo = opened(name)
    try:
        return photo, read(photo, client.predict_lines, least, form=form)
    except BadRequest as error:
        raise BadRequest(f"{name}: {error}") from None


def _tell(name: str, made: Reading, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": name, **as_tree(made)}), flush=True)  # noqa: T201
        return
    shown = one_line(name, 4096)
    wide = sys.stdout.isatty()
    for field in made.fields:
        columns: list[Any] = [shown, field.kind, field.text, f"{field.confidence:.4f}", SURE[field.accepted]]
        if wide:
            columns = [f"{shown}  {field.kind:<8}  {field.text:<12}  {field.confidence:>7.2%}  {columns[-1]}"]
        print(*columns, sep="\t")  # noqa: T201
    if not made.fields:
        print(*([f"{shown}  no digits"] if wide else [shown, "-", "", "", ""]), sep="\t")  # noqa: T201
    sys.stdout.flush()


@contextmanager
def _no_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG001
    yield lambda amount: None  # noqa: ARG005


def _complain(prog: str, error: ServingError) -> None:
    print(f"{prog}: {one_line(str(error))}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
