"""The Prefect tasks of a retraining: one for each stage of dvc.yaml, and those that release the export.

The flow `retrain` calls them. Each logs its result in the run's log and shows it as an artifact where there
is something to see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits import STAGES
from digits.pipeline.repro import Steps
from flows import artifacts
from flows.clone import intake
from flows.clone.intake import Intake
from flows.clone.workspace import Workspace
from flows.rollout import canary, release
from flows.rollout.canary import Settlement
from flows.rollout.rollout import Acts
from serving.checks.comparison import Comparison
from serving.store.store import Store

TASK_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}  # DVC caches, not Prefect


def follow(steps: Steps, stage: str) -> State[Any]:
    """Wait until DVC has finished a stage. The state's name says whether it ran, was cached or failed."""
    logger = get_run_logger()
    done = steps.stage(stage, logger.info)
    if done.outcome == "ran":
        return Completed(name="Ran", message=f"{done.seconds:.1f} s")
    if done.outcome == "cached":
        return Completed(name="Cached", message="nothing it depends on has changed")
    return Failed(message=done.error or steps.error or "DVC ended without a message")


stage_tasks = {stage: task(name=stage, task_run_name=stage, **TASK_OPTIONS)(follow) for stage in STAGES}


@task(name="take", task_run_name="batch {batch.name}", **TASK_OPTIONS)
def judge_batch(workspace: Workspace, batch: Path) -> State[Any]:
    """Judge a waiting batch, and accept or refuse it. The state's name says which; its data is the Intake."""
    logger = get_run_logger()
    result = intake.take_one(workspace, batch, logger.info)
    logger.info("batch %s: %s", result.batch, ": ".join(filter(None, [result.became, result.why])))
    if result.became == intake.REFUSED:
        return Failed(name="Quarantined", message=result.why, data=result)
    return Completed(name=result.became.capitalize(), message=result.why, data=result)


def take(workspace: Workspace, batch: Path) -> Intake:
    """Judge a waiting batch in a task of its own. Raises what made that impossible."""
    state: State[Any] = judge_batch(workspace, batch, return_state=True)
    result: Intake | BaseException = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result


@task(task_run_name="publish", **TASK_OPTIONS)
def publish(root: Path, store: Store, at: str) -> tuple[int, bool]:
    """Try the export on a real server, then publish it; return its number and whether that is new."""
    number, new = release.publish(root, store, at=at)
    get_run_logger().info("%s version %d", "published" if new else "the export is already", number)
    return number, new


@task(task_run_name="compare", **TASK_OPTIONS)
def compare(root: Path, store: Store, number: int, champion: int | None) -> Comparison:
    """Judge a published version against the one in service."""
    result = release.compare(root, store, number, champion)
    get_run_logger().info("%s", "; ".join(result.failed) or "no worse than the version in service")
    artifacts.comparison(result, number, champion)
    return result


@task(task_run_name="canary", **TASK_OPTIONS)
def go_live(store: Store, number: int, champion: int | None, at: str) -> Settlement:
    """Try a version on the running servers, beside the one in service, then promote or withdraw it."""
    settled = canary.go_live(store, number, champion, at)
    get_run_logger().info("version %d: %s", number, "; ".join([settled.outcome, *settled.reasons]))
    return settled


ACTS = Acts(publish, compare, go_live)
