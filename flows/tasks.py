"""The tasks of a retraining: one for each stage of dvc.yaml, and the steps that put an export in service."""

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
from flows.rollout.canary import Settled
from flows.rollout.rollout import Acts
from serving.checks.comparison import Comparison
from serving.store.store import Store

SHOWN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}  # DVC caches, not Prefect


def follow(steps: Steps, stage: str) -> State[Any]:
    """Wait for DVC to be done with a stage. The state's name says whether it ran, was cached or failed."""
    logger = get_run_logger()
    done = steps.stage(stage, logger.info)
    if done.outcome == "ran":
        return Completed(name="Ran", message=f"{done.seconds:.1f} s")
    if done.outcome == "cached":
        return Completed(name="Cached", message="nothing that it needs has changed")
    return Failed(message=done.error or steps.error or "DVC ended without a word")


stage_tasks = {stage: task(name=stage, task_run_name=stage, **SHOWN)(follow) for stage in STAGES}


@task(task_run_name="batch {batch.name}", **SHOWN)
def take(workspace: Workspace, batch: Path) -> Intake:
    """Judge a waiting batch, and keep or refuse it."""
    logger = get_run_logger()
    found = intake.one(workspace, batch, logger.info)
    logger.info("batch %s: %s", found.batch, ": ".join(filter(None, [found.became, found.why])))
    return found


@task(task_run_name="publish", **SHOWN)
def publish(root: Path, store: Store, at: str) -> tuple[int, bool]:
    """Try the export on a real server, then publish it: its number, and whether that is new."""
    number, new = release.publish(root, store, at=at)
    get_run_logger().info("%s version %d", "published" if new else "it is already", number)
    return number, new


@task(task_run_name="compare", **SHOWN)
def compare(root: Path, store: Store, number: int, champion: int | None) -> Comparison:
    """Judge a published version against the one in service."""
    found = release.compare(root, store, number, champion)
    get_run_logger().info("%s", "; ".join(found.failed) or "no worse than what serves")
    artifacts.comparison(found, number, champion)
    return found


@task(task_run_name="canary", **SHOWN)
def go_live(store: Store, number: int, champion: int | None, at: str) -> Settled:
    """Try a version on the servers that run, beside the one in service; have it serve, or withdraw it."""
    settled = canary.go_live(store, number, champion, at)
    get_run_logger().info("version %d: %s", number, "; ".join([settled.outcome, *settled.reasons]))
    return settled


ACTS = Acts(publish, compare, go_live)
