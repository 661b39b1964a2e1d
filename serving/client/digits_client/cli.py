"""The command `digits-client IMAGE…`, which `digits predict` runs too: prints a line for each picture.

`digits-client lines FILE…` does so for pictures of one line of writing each. On a terminal the lines are a
table; elsewhere columns separated by tabs: file, digit or text, confidence, and "sure" or "not sure", or "-"
where the model version does not say. With --json one object per line. A failure is one line on stderr. The
epilog below lists the exit codes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from digits_client.client import DigitClient
from digits_client.contract import LONGEST, MODEL
from digits_client.errors import BadRequest, ServingError, escape_unprintable, one_line
from digits_client.options import CHUNK_IMAGES, TIMEOUT
from digits_client.results import Answer, LinePrediction, Prediction

EPILOG = """\
examples:
  {prog} three.png
  {prog} --json *.png
  {prog} lines account.png    what a line of writing says

exit codes: 0 all read, 1 some pictures refused or output not writable, 2 wrong usage,
7 the server did not answer, 130 interrupted
"""
STDIN = "-"
LARGEST_STDIN = 64 << 20  # bytes
SURE = {True: "sure", False: "not sure", None: "-"}  # by Prediction.accepted
WIDEST = 60  # characters of a file's name in a table

LINES = "lines"  # as the first argument: the pictures show lines
Result = Prediction | LinePrediction | BadRequest
Ask = Callable[[list[str | bytes]], Answer[Result]]
Write = Callable[[str, Result, int | None], None]  # name, result, model version


def main(argv: Sequence[str] | None = None, prog: str = "digits-client") -> int:
    """Run the command on these arguments, by default the process's, and return its exit code."""
    escape_unprintable()
    arguments = list(sys.argv[1:] if argv is None else argv)
    lines = arguments[:1] == [LINES]
    given = _parser(prog, lines).parse_args(arguments[lines:])
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own log lines would come between ours
    try:
        return _run(given, prog, lines)
    except BadRequest as error:  # of an option: those of pictures are handled in _run
        _complain(prog, error)
        return 2
    except ServingError as error:
        _complain(prog, error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # of standard output
        with contextlib.suppress(OSError):  # the interpreter will try to write the rest when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has ended
            return 141
        _complain(
            prog,
            ServingError(
                f"can't write the results ({error.strerror}): free some space or write them elsewhere"
            ),
        )
        return 1


def _parser(prog: str, lines: bool) -> argparse.ArgumentParser:
    what = "what lines of writing say: one PNG or JPEG file per line"
    if not lines:
        what = f"which digits pictures show: one PNG or JPEG file per digit, or after '{LINES}' per line"
    parser = argparse.ArgumentParser(
        prog=f"{prog} {LINES}" if lines else prog,
        description=f"Ask a server {what}.",
        epilog=EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a PNG or JPEG file; - for standard input")
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
        help=f"seconds for each batch of {CHUNK_IMAGES} pictures; default: {TIMEOUT:g}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


def _run(given: argparse.Namespace, prog: str, lines: bool) -> int:
    names: list[str] = given.images
    if names.count(STDIN) > 1:
        raise BadRequest(f"'{STDIN}' is given {names.count(STDIN)} times: standard input holds one picture")
    table = sys.stdout.isatty()
    write: Write = _json_line if given.json else _table(names, lines) if table else _column_line
    failed = 0
    with DigitClient(given.server, given.transport, timeout=given.timeout, model=given.model) as client:
        for batch, answer in _batches(_asker(client, lines), names):
            for name, result in zip(batch, answer, strict=True):
                if isinstance(result, BadRequest):
                    failed += 1
                    _complain(prog, result)
                write(name, result, answer.version)
            sys.stdout.flush()
    return 1 if failed else 0


def _asker(client: DigitClient, lines: bool) -> Ask:
    """What answers for files by name, or for one picture in memory."""

    def ask(sources: list[str | bytes]) -> Answer[Result]:
        if lines:
            return client.predict_line_pictures(sources, on_error="return")
        pictures = [source for source in sources if isinstance(source, bytes)]
        if pictures:
            return client.predict_bytes(pictures, on_error="return")
        return client.predict_files([str(source) for source in sources], on_error="return")

    return ask


def _batches(ask: Ask, names: list[str]) -> Iterator[tuple[list[str], Answer[Result]]]:
    """Yield the names in batches, with what each shows. Standard input is a batch of its own."""
    batch: list[str] = []
    for name in names:
        if batch and (name == STDIN or len(batch) == CHUNK_IMAGES):
            yield batch, ask([*batch])
            batch = []
        if name == STDIN:
            picture = sys.stdin.buffer.read(LARGEST_STDIN + 1) if sys.stdin else b""
            yield [name], _called(STDIN, ask([picture]))
        else:
            batch.append(name)
    if batch:
        yield batch, ask([*batch])


def _called(name: str, answer: Answer[Result]) -> Answer[Result]:
    """Return the answer about a picture in memory, with the given name in place of 'picture 0'."""
    (result,) = answer
    if isinstance(result, BadRequest):
        result = BadRequest(str(result).replace("picture 0", name, 1))
    return Answer((result,), answer.version)


def _json_line(name: str, result: Result, version: int | None) -> None:
    shown: dict[str, object] = {"file": name}
    if isinstance(result, BadRequest):
        shown["error"] = one_line(str(result))
    elif isinstance(result, LinePrediction):
        shown |= {"text": result.text, "written": result.written}
        shown |= {"confidence": round(result.confidence, 6), "accepted": result.accepted}
        characters = [
            {"digit": c.digit, "probability": round(c.probability, 6), "position": round(c.position, 2)}
            for c in result.characters
        ]
        shown |= {"characters": characters, "version": version}
    else:
        shown |= {"digit": result.digit, "confidence": round(result.confidence, 6)}
        shown |= {"accepted": result.accepted}
        shown |= {"probabilities": [round(p, 6) for p in result.probabilities], "version": version}
    print(json.dumps(shown, ensure_ascii=True))  # noqa: T201


def _column_line(name: str, result: Result, version: int | None) -> None:  # noqa: ARG001
    if not isinstance(result, BadRequest):
        columns = (one_line(name, 4096), _read(result), f"{result.confidence:.4f}", SURE[result.accepted])
        print(*columns, sep="\t")  # noqa: T201


def _read(result: Prediction | LinePrediction) -> str:
    """The digit, or the text of a line with its separators; "-" for a line that has none."""
    return str(result.digit) if isinstance(result, Prediction) else result.written or "-"


def _table(names: list[str], lines: bool) -> Write:
    """Return a function that writes aligned lines, with a heading above the first."""
    width = max(4, *(len(_short(name)) for name in names))
    what, wide = ("text", LONGEST) if lines else ("digit", len("digit"))
    heading = [f"{'file':<{width}}  {what:>{wide}}  confidence  sure?"]

    def write(name: str, result: Result, version: int | None) -> None:  # noqa: ARG001
        if not isinstance(result, BadRequest):
            line = f"{_short(name):<{width}}  {_read(result):>{wide}}  {result.confidence:>10.2%}"
            line += f"  {SURE[result.accepted]}"
            print(*heading, line, sep="\n")  # noqa: T201
            heading.clear()

    return write


def _short(name: str) -> str:
    """Shorten a name for a table to its end, which tells files of a folder apart."""
    name = one_line(name, 4096)
    return name if len(name) <= WIDEST else f"…{name[1 - WIDEST :]}"


def _complain(prog: str, error: ServingError) -> None:
    print(f"{prog}: {one_line(str(error))}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
