"""Runs several pieces of work as task runs of one Prefect flow run. The sweep and crossval use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.scheduling import supervisor

Say = Callable[[str], None]


@dataclass(frozen=True)
class TaskResult:
    """The result of a piece of work: the task run's state in a word, a line of text, whether it is ok."""

    word: str
    line: str
    ok: bool = True


def run(
    root: Path,
    flow_name: str,
    run_name: str,
    tasks: Sequence[str],
    workers: int,
    work: Callable[[int], TaskResult],
    finish: Callable[[], tuple[str, str]],
    stopping: threading.Event,
) -> None:
    """Call `work(0)`, `work(1)` … for the names in `tasks`, `workers` at a time, each as a task run.

    root: the project, whose Prefect shows the runs; Prefect must not be imported yet, and prints nothing.
    finish: called at the end; returns the flow run's last line and a page of Markdown to keep with it.
    stopping: set on an interruption, so that the work ends by itself.
    """
    supervisor.start_prefect(root)
    from prefect import State, flow, get_run_logger, task
    from prefect.artifacts import create_markdown_artifact
    from prefect.cache_policies import NO_CACHE
    from prefect.futures import wait
    from prefect.states import Completed, Failed
    from prefect.task_runners import ThreadPoolTaskRunner

    runner: Any = ThreadPoolTaskRunner(max_workers=workers)

    @task(name="train", task_run_name="{title}", cache_policy=NO_CACHE, persist_result=False)
    def one(number: int, title: str) -> State:  # noqa: ARG001 - the title is the task run's name
        result = work(number)
        get_run_logger().info(result.line)
        if not result.ok:
            return Failed(name=result.word, message=result.line)
        return Completed(name=result.word, message=result.line)

    @flow(
        name=flow_name,
        flow_run_name=run_name,
        task_runner=runner,
        persist_result=False,
        validate_parameters=False,
    )
    def run_all() -> State:
        try:
            wait([one.submit(number, title) for number, title in enumerate(tasks)])
        except BaseException:
            stopping.set()
            raise
        line, page = finish()
        create_markdown_artifact(page, key=flow_name, description=line)
        return Completed(message=line)

    state = run_all(return_state=True)
    state.result(raise_on_failure=True)
