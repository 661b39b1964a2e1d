"""`digits run`: runs all stages that are not up to date, then publishes and promotes the export if it is no
worse.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError, ParamsError

if TYPE_CHECKING:
    from rich.console import Console

    from digits.pipeline.repro import Run
    from digits.pipeline.screen import Screen
    from flows.rollout.outcomes import Outcome
    from serving.store.store import Store

HELP = "bring every stage up to date, publish and promote the model if it is no worse, print a summary"
EPILOG = """\
examples:
  digits run                       all stages; only what is stale runs again
  digits run preprocess            up to this stage, and publish nothing
  digits run --no-publish --json   for a script: what ran, what the gate said

exit codes: 0 done, 1 any other error, 2 params.yaml or the arguments, 3 the data, 4 the training,
5 the model is refused, or worse than the one in service, 6 it can't be published or served, 130 interrupted
"""


@dataclass(frozen=True)
class Result:
    """What a run has come to. outcome: None where nothing was to be published."""

    run: Run
    outcome: Outcome | None

    @property
    def exit_code(self) -> int:
        """The command's exit code: the outcome's, or that of the stage which failed."""
        from digits.pipeline import repro

        if self.outcome:
            return self.outcome.exit_code
        failed = repro.failed_stage(self.run)
        return 0 if self.run.ok else (failed.code if failed else 0) or DigitsError.exit_code


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        help="run up to these stages only and publish nothing; default: all",
    )
    parser.add_argument("--no-publish", action="store_true", help="stop after the export")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the whole log on the screen, not only in its file"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON; the rest goes to stderr"
    )


def run(given: argparse.Namespace) -> int:
    """Run the stages and print a summary."""
    from digits import STAGES
    from digits.pipeline import screen
    from digits.runtime import processes
    from digits_cli import project

    for stage in given.stages:
        if stage not in STAGES:
            raise ParamsError(f"unknown stage '{stage}'; valid: {', '.join(STAGES)}")
    root = project.project_root()
    console = project.console(error=given.json)
    log = screen.log_of(root)
    with screen.Screen(console, log, verbose=given.verbose, age=processes.age()) as shown:
        shown.line(f"the whole log: {log.relative_to(root)}", style="dim")
        try:
            result = _stages(root, given.stages) if given.stages else _all(root, shown, not given.no_publish)
        except (KeyboardInterrupt, SystemExit):
            shown.line(shown.where(), style="bold yellow")
            raise
        if given.json:
            project.print_json(_plain(result, root, log))
        else:
            _sum_up(root, console, result, shown.total())
    return result.exit_code


def _stages(root: Path, stages: list[str]) -> Result:
    from digits.pipeline import repro

    return Result(repro.bring_up_to_date(root, *stages), None)


def _all(root: Path, shown: Screen, publish: bool) -> Result:
    """Run the retraining flow, unless nothing is stale and nothing is left to publish or compare."""
    from digits.pipeline import repro
    from digits.runtime import params
    from digits_cli import project

    params.load_all(root / "params.yaml")  # an invalid file is refused at once
    store = project.store_of(root)
    with shown.step("start-up") as step:
        step.say("asking DVC what is stale")
        if repro.up_to_date(root) and (found := _settled(root, store, publish)):
            step.result = "nothing has changed: all stages are up to date"
            return found
        step.say("starting Prefect, which records the run")
        from flows.scheduling import supervisor

        supervisor.start_prefect(root)
        import flows.retrain  # noqa: F401 - takes seconds, which belong to this step

        step.result = f"recorded by Prefect at {os.environ['PREFECT_API_URL'].removesuffix('/api')}"
    with shown.logs_of("prefect"):
        return _flow(root, publish)


def _settled(root: Path, store: Store, publish: bool) -> Result | None:
    """The result where every stage is up to date, and the export needs neither publishing nor comparing."""
    from digits import STAGES
    from digits.pipeline.repro import Run, StageRun
    from digits_cli import project
    from flows.rollout import outcomes, rollout

    done = Run([StageRun(stage, "cached") for stage in STAGES], 0.0, True)
    if not publish:
        return Result(done, outcomes.unpublished(done))
    outcome = rollout.settled(root, store, done, project.now)
    return Result(done, outcome) if outcome else None


def _flow(root: Path, publish: bool) -> Result:
    """Run the retraining flow once, by the Prefect that this process is set up for. Raises DigitsError."""
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
        return Result(ended.run, ended)
    if isinstance(ended, Run):
        return Result(ended, None)
    if isinstance(ended, DigitsError):
        raise ended
    raise DigitsError(" ".join(str(state.message or "the retraining ended without a message").split()))


def _plain(result: Result, root: Path, log: Path) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "outcome": outcome.name if outcome else "Done" if result.run.ok else "Failed",
        "reason": outcome.reason if outcome else result.run.error,
        "version": outcome.version if outcome else None,
        "new": outcome.new if outcome else False,
        "comparison": outcome.comparison.as_dict() if outcome and outcome.comparison else None,
        "stages": [asdict(stage) for stage in result.run.stages],
        "exit_code": result.exit_code,
        "log": str(log.relative_to(root)),
    }


def _sum_up(root: Path, console: Console, result: Result, total: str) -> None:
    from rich.markup import escape

    from digits import files
    from digits.pipeline import repro, summary
    from digits_cli import project
    from flows.rollout import outcomes
    from serving.store import cards

    outcome = result.outcome
    console.print()
    project.rows(console, summary.lines(root, result.run))
    tables = []
    if outcome and outcome.name == outcomes.REFUSED:
        tables.append(summary.failed_rules(files.read_json(root / "reports" / "verdict.json")["rules"]))
    compared = outcome.comparison if outcome else None
    if compared and not (compared.champion is None and compared.passed):  # then there was nothing to compare
        tables.append(summary.all_rules(compared.as_dict()["rules"]))
    for table in tables:
        for part in ("", table, ""):
            console.print(part)
    facts = []
    if outcome and outcome.name not in (outcomes.REFUSED, outcomes.UNPUBLISHED):
        facts.append(("outcome", escape(outcome.reason)))
    if outcome and outcome.version:
        report = cards.find(project.store_of(root), outcome.version, cards.REPORT)
        facts += [("card", f"{report.relative_to(root)}: its commit, data and comparison")] if report else []
    if result.exit_code:
        facts.append(("serving", _serving(root)))
    project.rows(console, [*facts, ("time", total), ("next", _next(result))])
    if not result.run.ok and not (tables and sys.stderr.isatty()):
        print(repro.failure(result.run), file=sys.stderr)  # noqa: T201


def _serving(root: Path) -> str:
    """What goes on serving after a run that has put nothing in service."""
    from digits_cli import project

    store = project.store_of(root)
    pointer = store.current()
    if pointer:
        return f"version {pointer.stable} goes on serving"
    return "nothing is in service" if store.versions() else "nothing has been published"


CHANGE = "change params.yaml or the data, and `make run` again"


def _next(result: Result) -> str:
    from flows.rollout import outcomes

    outcome = result.outcome
    if outcome is None and not result.run.ok:
        return "fix it and `make run` again: finished stages are kept"
    if outcome is None:
        return "`digits run` runs the other stages too, and publishes the model"
    version = outcome.version
    return {
        outcomes.REFUSED: f"reports/report.html shows its mistakes; {CHANGE}",
        outcomes.NOT_BETTER: f"`digits explain {version}` has its scores; {CHANGE}",
        outcomes.UNPUBLISHED: "`digits publish` gives the export a version",
        outcomes.NOT_FIT: "`digits publish` tries it again",
        outcomes.PUBLISHED: f"`digits promote {version}`",
    }.get(outcome.name, f"`digits app` shows it at work; {CHANGE}")
