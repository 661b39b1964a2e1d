"""`digits …`: the command line. Everything is imported when it is used."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from digits.errors import DigitsError, ParamsError

if TYPE_CHECKING:
    from rich.console import Console

    from digits.params import IngestParams
    from digits.repro import Run


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    parser = argparse.ArgumentParser(prog="digits", description=__import__("digits").__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="bring every stage up to date, then sum up")
    run.add_argument("stages", nargs="*", metavar="STAGE", help="only up to these; default: all")
    run.set_defaults(function=_run)
    given = parser.parse_args(argv)
    try:
        code = given.function(given)
    except DigitsError as error:
        print(f"digits: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def project_root() -> Path:
    """The folder of dvc.yaml, here or above. Raises DigitsError outside a project."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").exists():
            return folder
    raise DigitsError(f"no dvc.yaml in {here} or above it: run this in the project's folder")


def _run(given: argparse.Namespace) -> int:
    from rich.console import Console

    from digits import params, repro, summary
    from digits.stages import STAGES

    for stage in given.stages:
        if stage not in STAGES:
            raise ParamsError(f"unknown stage '{stage}'; valid: {', '.join(STAGES)}")
    root = project_root()
    console = Console(highlight=False, soft_wrap=True)
    ingest = params.load("ingest", root / "params.yaml")
    repro.without_git(root)
    run = _up_to_date(root, given.stages, ingest, console)
    console.print()
    console.print(summary.stages_table(run))
    console.print()
    for name, text in summary.lines(root, run):
        console.print(f"[dim]{name:<9}[/] {text}")
    return 0 if run.ok else 1


def _up_to_date(root: Path, stages: list[str], ingest: IngestParams, console: Console) -> Run:
    """Run what is stale; past DVC's cache where a sample stands in for a source that answers by now."""
    from digits import repro, sources

    first = None
    if not (root / "data" / "raw").exists():  # DVC's run cache may hold the sample of an earlier run
        first = repro.repro(root, "ingest")
        if not first.ok:
            return first
    restored = first is None or first.stages[0].outcome == "cached"
    source = sources.available(ingest) if restored and repro.made_from_sample(root) else None
    if source:
        console.print(f"{source} answers: taking the data from there in place of the sample")
    run = repro.repro(root, *stages, reingest=bool(source))
    return repro.together(first, run) if first else run


if __name__ == "__main__":
    main()
