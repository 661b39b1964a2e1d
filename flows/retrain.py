"""The retraining flow: stages that are stale, then the export into service if it is no worse.

One task for each stage, in the order of STAGES, all of them one `dvc repro`: the graph is in dvc.yaml. After
them `publish` (a real server tries the export first), `compare`, `canary` (tried on running servers, then
in service). Ways to end that are no failure have names (flows.outcomes); a stage that fails, fails the run
with that stage's own line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits import dvc_tree, files, repro
from digits.errors import DigitsError
from digits.repro import Run
from digits.stages import STAGES
from digits.steps import steps
from flows import artifacts, outcomes, tasks
from flows.outcomes import Outcome
from flows.service import into_service
from serving.store import Store


def run_name() -> str:
    """What a flow run is called: when, and why."""
    from prefect.runtime import flow_run

    why = str((flow_run.parameters or {}).get("why", "")).strip() or "by hand"
    return f"{_now()} {why}"[:120]


@flow(name="retrain", flow_run_name=run_name, persist_result=False, validate_parameters=False)
def retrain(
    project: str = ".", force: str | None = None, why: str = "by hand", publish: bool = True
) -> State[Any]:
    """Bring a project's stages up to date and what they export into service.

    force: a stage that runs though nothing it needs has changed. why: for the run's name. publish: whether to
    go on after the export. The state's data is an Outcome, or the Run of stages when one of them failed.
    """
    get_run_logger().info("why: %s", why)
    try:
        return _retrained(Path(project).resolve(), force, publish)
    except DigitsError as error:  # its text is for a person: no stack trace
        return Failed(message=" ".join(str(error).split()), data=error)


def _retrained(root: Path, force: str | None, publish: bool) -> State[Any]:
    run = stages(root, force)
    artifacts.stages(run)
    if run.ok:
        artifacts.pictures(root)
    no = refused(root, run)
    if not run.ok and no is None:
        return Failed(message=str(repro.failure(run)), data=run)
    artifacts.verdict(root)
    if no:
        ended = no
    elif publish:
        ended = into_service(root, Store(root / "models" / "serving"), run, tasks.ACTS, _now)
    else:
        ended = Outcome(outcomes.UNPUBLISHED, "as asked", run)
    artifacts.outcome(ended)
    return Completed(name=ended.name, message=ended.reason, data=ended)


def stages(root: Path, force: str | None = None) -> Run:
    """Every stage as a task, until one fails. A sample gives way to a source that answers by now."""
    dvc_tree.without_git(root)
    first = repro.before(root)
    if first and not first.ok:
        return first
    if source := repro.healing_source(root, first):
        get_run_logger().info("%s answers: taking the data from there in place of the sample", source)
    with steps(root, reingest=bool(source), force=force) as following:
        for stage in STAGES:
            if tasks.stage_tasks[stage](following, stage, return_state=True).is_failed():
                break
        run = following.finish()
    return repro.together(first, run) if first else run


def refused(root: Path, run: Run) -> Outcome | None:
    """The gate's refusal as an outcome; None when something else stopped the stages."""
    failed = [stage.stage for stage in run.stages if stage.outcome == "failed"]
    verdict = root / "reports" / "verdict.json"
    if failed != ["export"] or not verdict.exists() or (found := files.read_json(verdict))["passed"]:
        return None
    reasons = "; ".join(rule["reason"] for rule in found["rules"] if not rule["passed"])
    return Outcome(outcomes.REFUSED, reasons, run)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
