"""The retraining flow: stages that are stale, then the export into service if it is no worse.

One task for each stage, in the order of STAGES, all of them one `dvc repro`: the graph is in dvc.yaml. After
them `publish` (a real server tries the export first), `compare`, `canary` (tried on running servers, then
in service). Ways to end that are no failure have names (flows.rollout.outcomes); a stage that fails, fails
the run with that stage's own line. A scheduled run works in a clone (flows.scheduled), any other in the tree.
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

from digits import STAGES, files
from digits.pipeline import dvc_process, repro
from digits.pipeline.repro import Run, steps
from digits.runtime.errors import DigitsError
from flows import artifacts, notify, tasks
from flows import scheduled as isolated
from flows.clone import intake, workspace
from flows.rollout import outcomes
from flows.rollout.outcomes import Outcome
from flows.rollout.rollout import Acts, into_service
from flows.scheduled import Asked
from flows.scheduling import recovery, settings
from serving.store.store import Store


def through(
    root: Path, store: Store, force: str | None, publish: bool, acts: Acts, now: Callable[[], str]
) -> Outcome | Run:
    """All of it; the run of the stages when one of them failed for another reason than the gate's."""
    run = stages(root, force)
    artifacts.stages(run)
    if run.ok:
        artifacts.pictures(root)
    no = refused(root, run)
    if not run.ok and no is None:
        return run
    artifacts.verdict(root)
    if no:
        return no
    if publish:
        return into_service(root, store, run, acts, now)
    return Outcome(outcomes.UNPUBLISHED, "as asked", run)


def stages(root: Path, force: str | None = None) -> Run:
    """Every stage as a task, until one fails. A sample gives way to a source that answers by now."""
    dvc_process.without_git(root)
    first = _ingested(root)
    if first and not first.ok:
        return first
    if source := repro.healing_source(root, first):
        get_run_logger().info("%s answers: taking the data from there in place of the sample", source)
    with steps(root, reingest=bool(source), force=force) as following:
        for stage in STAGES[1 if first and not source else 0 :]:
            if tasks.stage_tasks[stage](following, stage, return_state=True).is_failed():
                break
        run = following.finish()
    return repro.together(first, run) if first else run


def _ingested(root: Path) -> Run | None:
    """Ingest alone where nothing is ingested yet: DVC's run cache may hold the sample of an earlier run."""
    if (root / "data" / "raw").exists():
        return None
    ingest = STAGES[0]
    with steps(root, ingest) as following:
        tasks.stage_tasks[ingest](following, ingest, return_state=True)
        return following.finish()


def refused(root: Path, run: Run) -> Outcome | None:
    """The gate's refusal as an outcome; None when something else stopped the stages."""
    failed = [stage.stage for stage in run.stages if stage.outcome == "failed"]
    verdict = root / "reports" / "verdict.json"
    if failed != ["export"] or not verdict.exists() or (found := files.read_json(verdict))["passed"]:
        return None
    reasons = "; ".join(rule["reason"] for rule in found["rules"] if not rule["passed"])
    return Outcome(outcomes.REFUSED, reasons, run)


def failure(run: Run) -> str:
    """The failed stage's own line."""
    return str(repro.failure(run))


def run_name() -> str:
    """What a flow run is called: when, and why."""
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
    """Bring a project's stages up to date and what they export into service.

    scheduled: in a clone of what is committed, with new batches of the inbox, a folder. profile, seed: in
    place of those of params.yaml, for a scheduled run. force: a stage that runs though nothing it needs has
    changed. why: for the run's name. publish: whether to go on after the export. The state's data is an
    Outcome, or the Run of stages when one of them failed.
    """
    settings.die_with_scheduler()
    recovery.watch_this_run()
    tell = get_run_logger().info
    tell("why: %s", why)
    root = Path(project).resolve()
    asked = Asked(profile, seed, Path(inbox) if inbox else None)
    try:
        if scheduled:
            return _scheduled(root, asked, force, publish)
        isolated.refuse_parameters(asked)
        return _state(through(root, Store(root / "models" / "serving"), force, publish, tasks.ACTS, _now))
    except workspace.WorkspaceBusy as error:
        return _state(Outcome(outcomes.BUSY, str(error), Run([], 0.0, True)))
    except DigitsError as error:  # its text is for a person: no stack trace
        return Failed(message=" ".join(str(error).split()), data=error)


def _scheduled(root: Path, asked: Asked, force: str | None, publish: bool) -> State[Any]:
    tell = get_run_logger().info
    with workspace.prepare(root) as clone:
        ready = isolated.begin(clone, asked, tasks.take, tell)
        artifacts.batches(ready.batches)
        notify.refused(root, ready.batches)
        acts = isolated.recorded(ready, tasks.ACTS, tell)
        ended = through(clone.root, ready.store, force, publish, acts, _now)
        isolated.push(ready, tell)
    return _state(ended, intake.summary(ready.batches))


def _state(ended: Outcome | Run, also: str = "") -> State[Any]:
    """The flow's state. also: what its message says besides."""
    if isinstance(ended, Run):
        return Failed(message="; ".join(filter(None, [failure(ended), also])), data=ended)
    ended = replace(ended, reason="; ".join(filter(None, [ended.reason, also])))
    artifacts.outcome(ended)
    return Completed(name=ended.name, message=ended.reason, data=ended)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
