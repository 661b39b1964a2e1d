"""The Prefect tasks of a retraining: one for each stage of dvc.yaml, and those that release the export.

The flow `retrain` calls them. Each logs its result in the run's log and shows it as an artifact where there
is something to see.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits import STAGES
from digits.pipeline import repro, screen
from digits.pipeline.repro import StageRun, Steps
from digits.pipeline.screen import Step
from digits.runtime.progress import Progress, count
from flows import artifacts
from flows.clone import intake
from flows.clone.intake import Intake
from flows.clone.workspace import Workspace
from flows.rollout import canary, release
from flows.rollout.canary import Settlement
from flows.rollout.rollout import Acts
from serving.checks.comparison import Comparison
from serving.store.store import Store

EVERY = 15.0  # seconds between two lines about progress in a run's log
TASK_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}  # DVC caches, not Prefect


class _Watcher:
    """Passes what a stage says to the run's log in Prefect too."""

    def __init__(self, step: Step) -> None:
        self._step, self._log = step, get_run_logger()
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        self._log.info("%s", line)
        self._step.say(line)

    def move(self, progress: Progress) -> None:
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self._log.info("%s", progress)
        self._step.move(progress)

    def note(self, line: str) -> None:
        self._step.note(line)


def follow(steps: Steps, stage: str) -> State[Any]:
    """Wait until DVC has finished a stage. The state's name says whether it ran, was cached or failed."""
    with screen.current().step(stage) as step:
        done = steps.stage(stage, _Watcher(step))
        repro.show_end(step, done)
    if done is None:
        return Completed(name="Not needed", message="DVC did not look at it")
    if done.outcome == "failed":
        return Failed(message=done.error, data=done)
    message = step.result if done.outcome == "ran" else repro.RESULTS[done.outcome]
    return Completed(name=done.outcome.capitalize(), message=message, data=done)


stage_tasks = {stage: task(name=stage, task_run_name=stage, **TASK_OPTIONS)(follow) for stage in STAGES}


def follow_stage(steps: Steps, stage: str) -> StageRun | None:
    """Do `follow` as the stage's task, and return the stage's run."""
    state = stage_tasks[stage](steps, stage, return_state=True)
    done: Any = state.result(raise_on_failure=False)
    if isinstance(done, Exception):
        raise done
    return done if isinstance(done, StageRun) else None


@task(name="take", task_run_name="batch {batch.name}", **TASK_OPTIONS)
def judge_batch(workspace: Workspace, batch: Path) -> State[Any]:
    """Judge a waiting batch, and accept or refuse it. The state's name says which; its data is the Intake."""
    with screen.current().step("batch") as step:
        step.say(f"judging {batch.name}")
        result = intake.take_one(workspace, batch)
        step.outcome = "ran" if result.became == intake.ACCEPTED else "refused"
        step.result = f"{result.batch}: " + ": ".join(filter(None, [result.became, result.why]))
    get_run_logger().info("batch %s", step.result)
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
    with screen.current().step("publish") as step:
        number, new = release.publish(root, store, at=at)
        step.result = f"version {number}" if new else f"the export is version {number} already"
        step.outcome = "ran" if new else "cached"
    get_run_logger().info("%s", step.result)
    return number, new


@task(task_run_name="compare", **TASK_OPTIONS)
def compare(root: Path, store: Store, number: int, champion: int | None) -> Comparison:
    """Judge a published version against the one in service."""
    with screen.current().step("compare") as step:
        result = release.compare(root, store, number, champion)
        found = "no worse" if result.passed else f"worse by {count(len(result.failed), 'rule')}"
        if champion is not None:
            step.result = f"version {number} with version {champion}: {found}"
        else:  # then only the best version ever can be missed
            step.result = "nothing is in service yet" if result.passed else f"version {number}: {found}"
        step.outcome = "ran" if result.passed else "refused"
    get_run_logger().info("%s", "; ".join(result.failed) or step.result)
    artifacts.comparison(result, number, champion)
    return result


@task(task_run_name="canary", **TASK_OPTIONS)
def go_live(store: Store, number: int, champion: int | None, at: str) -> Settlement:
    """Try a version on the running servers, beside the one in service, then promote or withdraw it."""
    with screen.current().step("canary") as step:
        settled = canary.go_live(store, number, champion, at)
        step.result = f"version {number}: {'; '.join([settled.outcome, *settled.reasons])}"
        step.outcome = "ran" if settled.outcome == canary.PROMOTED else "refused"
    get_run_logger().info("%s", step.result)
    return settled


ACTS = Acts(publish, compare, go_live)
