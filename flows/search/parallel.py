"""Several pieces of work as the task runs of one Prefect flow run, some at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.scheduling import supervisor

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended, in a word and in a line; `ok` is false when it failed."""

    word: str
    line: str
    ok: bool = True


def run(
    root: Path,
    flow_name: str,
    run_name: str,
    tasks: Sequence[str],
    workers: int,
    work: Callable[[int], Ended],
    finish: Callable[[], tuple[str, str]],
    stopping: threading.Event,
) -> None:
    """Do `work(0)`, `work(1)` … for each name in `tasks`, `workers` at a time, each a task run of that name.

    root: the project, whose Prefect shows it; Prefect must not be imported yet, and leaves the screen to us.
    finish: called when all have ended, for the last line of the flow run and a page of Markdown to keep with
    it. stopping: is set when this is broken off, for the work to end by itself.
    """
    supervisor.start_prefect(root)
    os.environ.setdefault(
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL"
    )  # `work` tells each end itself
    from prefect import State, flow, get_run_logger, task
    from prefect.artifacts import create_markdown_artifact
    from prefect.cache_policies import NO_CACHE
    from prefect.futures import wait
    from prefect.states import Completed, Failed
    from prefect.task_runners import ThreadPoolTaskRunner

    runner: Any = ThreadPoolTaskRunner(max_workers=workers)

    @task(name="train", task_run_name="{title}", cache_policy=NO_CACHE, persist_result=False)
    def one(number: int, title: str) -> State:  # noqa: ARG001 - the title is the task run's name
        ended = work(number)
        get_run_logger().info(ended.line)
        if not ended.ok:
            return Failed(name=ended.word, message=ended.line)
        return Completed(name=ended.word, message=ended.line)

    @flow(
        name=flow_name,
        flow_run_name=run_name,
        task_runner=runner,
        persist_result=False,
        validate_parameters=False,
    )
    def all_of_them() -> State:
        try:
            wait([one.submit(number, title) for number, title in enumerate(tasks)])
        except BaseException:
            stopping.set()
            raise
        line, page = finish()
        create_markdown_artifact(page, key=flow_name, description=line)
        return Completed(message=line)

    state = all_of_them(return_state=True)
    state.result(raise_on_failure=True)
