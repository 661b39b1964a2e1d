"""Serves a project's deployment until it is asked to end, or runs it once. One scheduler for each project.

Flow runs are processes of their own. They, and the Prefect server that was started for them, die with this
process, so whatever the database says is at work when a scheduler starts is not (flows.scheduling.recovery).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from digits.runtime.errors import DigitsError
from digits.runtime.processes import RUN_PID
from flows.scheduling import deployment as registration
from flows.scheduling import inbox_trigger, recovery, settings
from flows.scheduling import server as servers
from flows.scheduling.deployment import Plan
from flows.scheduling.server import Taken, only_scheduler
from flows.scheduling.supervisor import Keeper, say

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

POLL = 2.0  # seconds between questions to the server for runs that are due
PAUSE = 5.0  # seconds before another try when the server failed for longer than Prefect puts up with


def schedule(project: Path, plan: Plan) -> int:
    """Serve until SIGTERM or SIGINT; 0. Raises Taken when another one does, DigitsError when nothing can."""
    with only_scheduler(settings.home(project)), ready(project, plan) as keeper:
        made = registration.deployment(project, plan)
        stop = threading.Event()
        with _signals(stop):
            while not stop.is_set():
                try:
                    _serve(plan, made, keeper, stop)
                except Exception as error:
                    say(f"serving broke off, trying again ({type(error).__name__}: {error})")
                    stop.wait(PAUSE)
            say("ending")
    return 0


def once(project: Path, plan: Plan) -> int:
    """Run now: in the scheduler that is at work, or else here; 0 unless the run fails."""
    try:
        with only_scheduler(settings.home(project)), ready(project, plan):
            state = registration.flow(plan)(**plan.parameters, return_state=True)
            say(f"{state.name}: {state.message or 'no more is known'}")
            return 0 if state.is_completed() else 1
    except Taken:
        return _asked(project, plan)


@contextlib.contextmanager
def ready(project: Path, plan: Plan) -> Iterator[Keeper]:
    """The project's Prefect: its settings in this process, its server at work; nothing of it after the block.

    Prefect must not be imported yet. Raises DigitsError when there is no server to be had.
    """
    settings.apply(project)
    os.chdir(project)
    os.environ[RUN_PID] = str(os.getpid())
    server = None if settings.own() else servers.ensure(project, plan.port)
    if server:
        os.environ.update(settings.at(server.url))
        say(f"Prefect's server answers at {server.page}")
    else:
        registration.need_server()
    keeper = Keeper(project, server, plan.port)
    keeper.start()
    try:
        yield keeper
    finally:
        if logs := sys.modules.get("prefect.logging.handlers"):
            logs.APILogWorker.drain_all(timeout=5)  # while there is a server to send them to
        keeper.stop()
        _end_children()


def _serve(plan: Plan, made: RunnerDeployment, keeper: Keeper, stop: threading.Event) -> None:
    """Put right what the last one left, then start what is due until asked to stop."""
    from prefect.client.orchestration import get_client

    runner = _runner(stop)
    deployment = runner.add_deployment(made)
    assert isinstance(deployment, UUID)
    with get_client(sync_client=True) as client:
        for name in recovery.clear_stuck(client, deployment):
            say(f"run {name} is set to Crashed: {recovery.DIED}")
        if skipped := recovery.skip_missed(client, deployment, datetime.now(UTC)):
            say(f"{skipped} runs are skipped: {recovery.MISSED}")
        recovery.watch_heartbeats(client)
    keeper.inbox = inbox_trigger.Inbox(plan.inbox, deployment) if plan.inbox else None
    say(f"serving {made.full_name}, {_when(plan)}")
    asyncio.run(_until(runner, stop))


def _runner(stop: threading.Event) -> Runner:
    from prefect.runner import Runner

    class Ours(Runner):
        """Prefect's own way to end would leave the flow runs' states open."""

        def handle_sigterm(self, *_: object, **__: object) -> None:
            stop.set()

    # Without a limit of its own: the deployment has one, which also says what becomes of a run too many.
    return Ours(limit=None, pause_on_shutdown=False, query_seconds=POLL, prefetch_seconds=0)


async def _until(runner: Runner, stop: threading.Event) -> None:
    work = asyncio.ensure_future(runner.start())
    while not work.done():
        if stop.is_set() and runner.started:
            await runner.astop()  # cancels the runs that are at work
            break
        await asyncio.wait({work}, timeout=0.2)
    await work


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _asked(project: Path, plan: Plan) -> int:
    """Ask the scheduler that is at work for a run."""
    settings.apply(project)
    if not settings.own():
        url = servers.running(project, servers.BUSY)
        if not url:
            raise DigitsError("the scheduler's Prefect server is not up yet: try again in a few seconds")
        os.environ.update(settings.at(url))
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(f"retrain/{registration.name_of(project)}")
        say(f"the scheduler runs it: {inbox_trigger.ask(client, found.id, plan.parameters)}")
    return 0


def _end_children() -> None:
    """Whatever is left of what this process started."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


def _when(plan: Plan) -> str:
    parts = [f"cron {plan.cron} ({plan.timezone})"] if plan.cron else []
    parts += [f"every {plan.interval:g} s"] if plan.interval else []
    parts += [f"on new batches in {plan.inbox}"] if plan.inbox else []
    return " and ".join(parts)
