"""The course of a retraining in one tree: its stages as tasks, the gate's verdict, then into service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect import get_run_logger

from digits import STAGES, files
from digits.pipeline import dvc_process, repro
from digits.pipeline.repro import Run, steps
from flows import artifacts, tasks
from flows.rollout import outcomes
from flows.rollout.outcomes import Outcome
from flows.rollout.rollout import Acts, into_service
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
