"""`digits run`: runs all stages that are not up to date, then publishes and promotes the export if it is no
worse.
"""

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

HELP = "bring every stage up to date, publish and promote the model if it is no worse, print a summary"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        help="run up to these stages only and publish nothing; default: all",
    )
    parser.add_argument("--no-publish", action="store_true", help="stop after the export")


def run(given: argparse.Namespace) -> int:
    """Run the stages and print a summary. Raises StoreError when the export can't be published."""
    from digits import STAGES
    from digits_cli import project

    for stage in given.stages:
        if stage not in STAGES:
            raise ParamsError(f"unknown stage '{stage}'; valid: {', '.join(STAGES)}")
    root = project.project_root()
    console = project.console()
    if given.stages:
        from digits.pipeline import repro

        done, outcome = repro.bring_up_to_date(root, *given.stages, say=console.print), None
    else:
        done, outcome = run_flow(root, publish=not given.no_publish)
    _sum_up(root, console, done, outcome)
    for stage in done.stages:
        if stage.outcome == "failed" and not given.stages:
            print(f"{stage.stage}: {stage.error}", file=sys.stderr)  # noqa: T201
    return 0 if done.ok else 1


def run_flow(root: Path, *, publish: bool) -> tuple[Run, Outcome | None]:
    """Run the retraining flow once; return the stages' run and the outcome for the export.

    Raises DigitsError.

    Uses the project's Prefect server if one is running, else one that ends with this process.
    """
    from digits.pipeline import dvc_process
    from digits.runtime import params
    from flows.scheduling import supervisor

    params.load_all(root / "params.yaml")  # an invalid file is refused at once
    with dvc_process.run_lock(root):
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
            f"Prefect's server does not answer any more ({type(error).__name__}): finished stages are "
            "kept, run the same command again"
        ) from None
    ended = state.result(raise_on_failure=False)
    if isinstance(ended, Outcome):
        return ended.run, ended
    if isinstance(ended, Run):
        return ended, None
    if isinstance(ended, DigitsError):
        raise ended
    raise DigitsError(" ".join(str(state.message or "the retraining ended without a message").split()))


def _sum_up(root: Path, console: Console, done: Run, outcome: Outcome | None) -> None:
    from rich.markup import escape

    from digits.pipeline import summary

    console.print()
    console.print(summary.stages_table(done))
    console.print()
    *facts, last = summary.lines(root, done)
    for name, text in facts:
        console.print(f"[dim]{name:<9}[/] {text}")
    if outcome and outcome.version is not None:
        console.print(f"[dim]{'serving':<9}[/] {escape(outcome.reason)}")
    console.print(f"[dim]{last[0]:<9}[/] {last[1]}")
