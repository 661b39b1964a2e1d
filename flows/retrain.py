"""The retraining flow: run the stages that are stale, then put the export in service if it is no worse.

`digits run` calls it, and Prefect runs it on a schedule. It has one task for each stage, in the order of
STAGES, all of them one `dvc repro`: the graph is in dvc.yaml. After them come `publish` (a real server tries
the export first), `compare` and `canary` (the version is tried on running servers, then promoted). Ways to
end that are no failure have names (flows.rollout.outcomes); a stage that fails makes the run fail with that
stage's error line. A scheduled run works in a clone (flows.scheduled), any other in the working tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits import files
from digits.pipeline import repro
from digits.pipeline.repro import Run
from digits.runtime.errors import DigitsError
from flows import artifacts, notify, scheduled, tasks
from flows.clone import intake, workspace
from flows.rollout import outcomes
from flows.rollout.outcomes import Outcome
from flows.rollout.rollout import Acts, bring_into_service
from flows.scheduled import RunOptions
from flows.scheduling import recovery, settings
from serving.store.store import Store


def run_all(
    root: Path, store: Store, force: str | None, publish: bool, acts: Acts, now: Callable[[], str]
) -> Outcome | Run:
    """Run the stages, apply the gate, release the model.

    The result is the run of the stages when one of them failed for another reason than the gate's.
    """
    run = run_stages(root, force)
    artifacts.stages(run)
    if run.ok:
        artifacts.pictures(root)
    refusal = gate_refusal(root, run)
    if not run.ok and refusal is None:
        return run
    artifacts.verdict(root)
    if refusal:
        return refusal
    if publish:
        return bring_into_service(root, store, run, acts, now)
    return outcomes.unpublished(run)


def run_stages(root: Path, force: str | None = None) -> Run:
    """Run every stage that is stale as a task, until one fails."""
    return repro.bring_up_to_date(root, force=force, follow=tasks.follow_stage)


def gate_refusal(root: Path, run: Run) -> Outcome | None:
    """The gate's refusal as an outcome; None when something else stopped the stages."""
    failed, verdict = repro.failed_stage(run), root / "reports" / "verdict.json"
    if not failed or failed.stage != "export" or not verdict.exists():
        return None
    judgement = files.read_json(verdict)
    if judgement["passed"]:
        return None
    reasons = "; ".join(rule["reason"] for rule in judgement["rules"] if not rule["passed"])
    return Outcome(outcomes.REFUSED, reasons, run)


def run_name() -> str:
    """The name of the current flow run: when it started, and why."""
    from prefect.runtime import flow_run

    why = str((flow_run.parameters or {}).get("why", "")).strip() or "by hand"
    return f"{_now()} {why}"[:120]


@flow(
    name="retrain",
    flow_run_name=run_name,
    persist_result=False,
    validate_parameters=False,
    on_completion=[notify.hook],
    on_failure=[notify.hook],
    on_crashed=[notify.hook],
)
def retrain(
    project: str = ".",
    profile: str | None = None,
    seed: int | None = None,
    force: str | None = None,
    why: str = "by hand",
    inbox: str | None = None,
    scheduled: bool = False,
    publish: bool = True,
) -> State[Any]:
    """Bring a project's stages up to date and put what they export in service.

    scheduled: work in a clone of what is committed, with the new batches of `inbox`, a folder. profile, seed:
    for a scheduled run, instead of those in params.yaml. force: a stage to run even if nothing it depends on
    has changed. why: for the run's name. publish: whether to go on after the export. The state's data is an
    Outcome, or the Run of the stages when one of them failed.
    """
    settings.die_with_scheduler()
    recovery.watch_this_run()
    get_run_logger().info("why: %s", why)
    root = Path(project).resolve()
    options = RunOptions(profile, seed, Path(inbox) if inbox else None)
    try:
        return (_in_clone if scheduled else _in_tree)(root, options, force, publish)
    except workspace.WorkspaceBusy as error:
        return _state(Outcome(outcomes.BUSY, str(error), Run([], 0.0, True)))
    except DigitsError as error:  # its text is for a person: no stack trace
        return Failed(message=" ".join(str(error).split()), data=error)


def _in_tree(root: Path, options: RunOptions, force: str | None, publish: bool) -> State[Any]:
    scheduled.refuse_parameters(options)
    return _state(run_all(root, Store(root / "models" / "serving"), force, publish, tasks.ACTS, _now))


def _in_clone(root: Path, options: RunOptions, force: str | None, publish: bool) -> State[Any]:
    log = get_run_logger().info
    with workspace.prepare(root) as clone:
        context = scheduled.begin(clone, options, tasks.take, log)
        artifacts.batches(context.batches)
        notify.send_refusals(root, context.batches)
        acts = scheduled.with_lineage(context, tasks.ACTS, log)
        result = run_all(clone.root, context.store, force, publish, acts, _now)
        scheduled.push(context, log)
    return _state(result, intake.summary(context.batches))


def _state(result: Outcome | Run, addition: str = "") -> State[Any]:
    """The flow's state. addition: text that its message ends with."""
    if isinstance(result, Run):
        return Failed(message="; ".join(filter(None, [repro.failure(result), addition])), data=result)
    result = replace(result, reason="; ".join(filter(None, [result.reason, addition])))
    artifacts.outcome(result)
    return Completed(name=result.name, message=result.reason, data=result)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
