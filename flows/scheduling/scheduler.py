"""Serves a project's deployment until a signal ends it, or runs it once. There is one scheduler a project.

`flows.deploy` calls it. Flow runs are processes of their own. They, and the Prefect server that was started
for them, die with this process, so a run that the database shows as active when a scheduler starts is not
(flows.scheduling.recovery).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from rich.console import Console

from digits.pipeline.screen import Screen, log_of
from digits.runtime.errors import DigitsError
from digits.runtime.processes import RUN_PID
from digits.runtime.progress import count
from digits_model_server.process import StopRequest
from flows.scheduling import deployment, inbox_trigger, recovery, server, settings
from flows.scheduling.deployment import Plan
from flows.scheduling.server import SchedulerBusy, only_scheduler
from flows.scheduling.supervisor import Supervisor, say

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

POLL = 2.0  # seconds between requests to the server for runs that are due
PAUSE = 5.0  # seconds before another try when the server failed for longer than Prefect tolerates


def schedule(project: Path, plan: Plan) -> int:
    """Serve until SIGTERM or SIGINT, then return 0.

    Raises SchedulerBusy when another scheduler runs, DigitsError when the deployment can't be served and
    trying again would not help.
    """
    with only_scheduler(settings.home(project)), prepare_prefect(project, plan) as supervisor:
        served = [deployment.deployment(project, plan)]
        if plan.look_every:
            served.append(deployment.watching(project, plan))
        stop = StopRequest()
        with _signals(stop):
            while not stop.is_set():
                try:
                    _serve(project, plan, served, supervisor, stop)
                except Exception as error:
                    if not _may_pass(error):
                        raise DigitsError(
                            f"the schedule can't be served ({type(error).__name__}: {error}): fix that, then "
                            "start again"
                        ) from None
                    say(f"serving was interrupted, trying again ({type(error).__name__}: {error})")
                    stop.wait(PAUSE)
            say("ending")
    return 0


def run_once(project: Path, plan: Plan) -> int:
    """Run now, in the running scheduler or else in this process; return the exit code of how it ended."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the screen tells it all
    shown = Screen(Console(stderr=True, highlight=False), log_of(project))
    try:
        with only_scheduler(settings.home(project)), shown, prepare_prefect(project, plan):
            with shown.logs_of("prefect"):
                state = deployment.flow(plan)(**plan.parameters, return_state=True)
            say(f"{state.name}: {state.message or 'no message'}")
            ended = state.result(raise_on_failure=False)
            code: int = getattr(ended, "exit_code", 0 if state.is_completed() else DigitsError.exit_code)
            return code
    except SchedulerBusy:
        return _run_in_scheduler(project, plan)
    except (KeyboardInterrupt, SystemExit):
        say(shown.where())
        raise


@contextlib.contextmanager
def prepare_prefect(project: Path, plan: Plan) -> Iterator[Supervisor]:
    """Set this process up for the project's Prefect and have its server run until the end of the block.

    Prefect must not be imported yet. Raises ParamsError for an invalid schedule, DigitsError for a flow that
    can't be loaded, and when there is no server and none can be started.
    """
    settings.apply(project)
    from prefect import context

    os.chdir(project)
    deployment.schedule(plan)  # what can't be served is refused before a server is started
    deployment.flow(plan)
    os.environ[RUN_PID] = str(os.getpid())
    running = None if settings.uses_own() else server.ensure(project, plan.port)
    if running:
        os.environ.update(settings.variables_for(running.url))
        context.refresh_global_settings_context()  # Prefect read the environment when it was imported, above
        say(f"Prefect's server answers at {running.page}; `digits ui` opens it and shows the password")
    else:
        deployment.need_server()
    supervisor = Supervisor(project, running, plan.port)
    supervisor.start()
    try:
        yield supervisor
    finally:
        if logs := sys.modules.get("prefect.logging.handlers"):
            logs.APILogWorker.drain_all(timeout=5)  # while there is a server to send them to
        supervisor.stop()
        _end_children()


def _serve(
    project: Path, plan: Plan, served: list[RunnerDeployment], supervisor: Supervisor, stop: StopRequest
) -> None:
    """Repair what the last scheduler left, then start the runs that are due until `stop` is set."""
    from prefect.client.orchestration import get_client

    runner = _runner(stop, settings.home(project) / "scratch" / uuid4().hex)
    ids = [runner.add_deployment(each) for each in served]
    with get_client(sync_client=True) as client:
        for id_ in ids:
            assert isinstance(id_, UUID)
            for name in recovery.clear_stuck(client, id_):
                say(f"run {name} is set to Crashed: {recovery.DIED}")
            if skipped := recovery.skip_missed(client, id_, datetime.now(UTC)):
                say(f"{count(skipped, 'run')} skipped: {recovery.MISSED}")
        recovery.watch_heartbeats(client)
    retraining = ids[0]
    assert isinstance(retraining, UUID)
    supervisor.inbox = inbox_trigger.Inbox(plan.inbox, retraining) if plan.inbox else None
    say(f"serving {served[0].full_name}, {_when(plan)}")
    asyncio.run(_until(runner, stop))


def _may_pass(error: BaseException) -> bool:
    """Whether an error is, or came of, a server that did not answer or had a fault of its own."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    if isinstance(error, httpx.TransportError | ConnectionError | TimeoutError):
        return True
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return any(_may_pass(other) for other in (*inside, error.__cause__, error.__context__) if other)


def _runner(stop: StopRequest, scratch: Path) -> Runner:
    """Prefect's runner. scratch: a folder for it to make, use and remove."""
    from prefect.runner import Runner

    class GracefulRunner(Runner):
        """Prefect's own handler would exit and leave the flow runs' states open.

        Prefect's own scratch folder is one that all users of the machine share.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._tmp_dir = scratch

        def handle_sigterm(self, *_: object, **__: object) -> None:
            stop.set()

    # Without a limit of its own: the deployment has one, and says what to do with runs above it.
    return GracefulRunner(limit=None, pause_on_shutdown=False, query_seconds=POLL, prefetch_seconds=0)


async def _until(runner: Runner, stop: StopRequest) -> None:
    work = asyncio.ensure_future(runner.start())
    while not work.done():
        if stop.is_set() and runner.started:
            await runner.astop()  # cancels the active runs
            break
        await asyncio.wait({work}, timeout=0.2)
    await work


@contextlib.contextmanager
def _signals(stop: StopRequest) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_in_scheduler(project: Path, plan: Plan) -> int:
    """Ask the running scheduler for a run."""
    settings.apply(project)
    if not settings.uses_own():
        url = server.find_running(project, server.BUSY)
        if not url:
            raise DigitsError("the scheduler's Prefect server is not up yet: try again in a few seconds")
        os.environ.update(settings.variables_for(url))
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        known = client.read_deployment_by_name(f"retrain/{deployment.name_of(project)}")
        if not deployment.queues(known) and inbox_trigger.is_busy(client, known.id):
            raise DigitsError(
                "a run is at work, and the scheduler skips those that come due meanwhile: `digits status` "
                "shows it; try again when it has ended, or start the scheduler with --when-busy queue"
            )
        say(f"the scheduler runs it: {inbox_trigger.start_run(client, known.id, plan.parameters)}")
    return 0


def _end_children() -> None:
    """Kill all processes that this one started and that still run."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


def _when(plan: Plan) -> str:
    parts = [f"cron {plan.cron} ({plan.timezone})"] if plan.cron else []
    parts += [f"every {plan.interval:g} s"] if plan.interval else []
    parts += [f"on new batches in {plan.inbox}"] if plan.inbox else []
    parts += (
        [f"looking at what is served every {count(plan.look_every, 'minute')}"] if plan.look_every else []
    )
    return " and ".join(parts)
