"""`digits run`: the retraining once: every stage up to date, then the export in service if it is no worse."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from digits.runtime.errors import DigitsError, ParamsError

if TYPE_CHECKING:
    from rich.console import Console

    from digits.pipeline.repro import Run
    from flows.rollout.outcomes import Outcome

HELP = "bring every stage up to date, publish and promote what is no worse, then sum up"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help="only up to these, and publish nothing; default: all"
    )
    parser.add_argument("--no-publish", action="store_true", help="stop after the export")


def run(given: argparse.Namespace) -> int:
    """Run what is stale and sum up. Raises StoreError when the export can't be published."""
    from digits import STAGES
    from digits_cli import project

    for stage in given.stages:
        if stage not in STAGES:
            raise ParamsError(f"unknown stage '{stage}'; valid: {', '.join(STAGES)}")
    root = project.project_root()
    console = project.console()
    if given.stages:
        from digits.pipeline import repro

        done, outcome = repro.up_to_date(root, *given.stages, say=console.print), None
    else:
        done, outcome = retrained(root, publish=not given.no_publish)
    _sum_up(root, console, done, outcome)
    for stage in done.stages:
        if stage.outcome == "failed" and not given.stages:
            print(f"{stage.stage}: {stage.error}", file=sys.stderr)  # noqa: T201
    return 0 if done.ok else 1


def retrained(root: Path, *, publish: bool) -> tuple[Run, Outcome | None]:
    """One run of the retraining flow: the stages' run, and what became of the export. Raises DigitsError.

    Prefect's server is the project's if one runs, else one that ends with this process.
    """
    from digits.pipeline import dvc_process
    from digits.runtime import params
    from flows.scheduling import supervisor

    params.load_all(root / "params.yaml")  # what can be refused at once is, before seconds go by
    with dvc_process.alone(root):
        pass
    supervisor.start_prefect(root)

    import httpx

    from digits.pipeline.repro import Run
    from flows.retrain import retrain
    from flows.rollout.outcomes import Outcome

    try:
        state = retrain(project=str(root), why="digits run", publish=publish, return_state=True)
    except httpx.HTTPError as error:
        raise DigitsError(
            f"Prefect's server went away and did not come back ({type(error).__name__}): what was made is "
            "kept, run the same command again"
        ) from None
    ended = state.result(raise_on_failure=False)
    if isinstance(ended, Outcome):
        return ended.run, ended
    if isinstance(ended, Run):
        return ended, None
    if isinstance(ended, DigitsError):
        raise ended
    raise DigitsError(" ".join(str(state.message or "the retraining ended without a word").split()))


def _sum_up(root: Path, console: Console, done: Run, outcome: Outcome | None) -> None:
    from rich.markup import escape

    from digits.pipeline import summary

    console.print()
    console.print(summary.stages_table(done))
    console.print()
    *told, last = summary.lines(root, done)
    for name, text in told:
        console.print(f"[dim]{name:<9}[/] {text}")
    if outcome and outcome.version is not None:
        console.print(f"[dim]{'serving':<9}[/] {escape(outcome.reason)}")
    console.print(f"[dim]{last[0]:<9}[/] {last[1]}")
