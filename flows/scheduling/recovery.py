"""Repairs Prefect's database after a scheduler was killed, before the next one serves.

Only for a scheduler that holds its project's lock: then no run that the database shows as active is active.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from flows.scheduling import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State, StateType

SILENCE = 3 * settings.HEARTBEAT  # seconds without a heartbeat after which a run counts as dead
WATCH = "digits: a run without heartbeats has crashed"
DIED = "its process and the scheduler that started it ended without reporting a result"
MISSED = "the scheduler was down at that time; only the latest missed run is made up for"


def clear_stuck(client: SyncPrefectClient, deployment: UUID) -> list[str]:
    """Set the runs that the database shows as active to Crashed and free their slot; return their names.

    Processes of those runs that outlived the scheduler are killed first.
    """
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    active = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    stuck = find_runs(client, deployment, active)
    end_processes({str(run.id) for run in stuck})
    for run in stuck:
        _set(client, run, Crashed(message=DIED))
    free = GlobalConcurrencyLimitUpdate(active_slots=0)
    with contextlib.suppress(ObjectNotFound):  # a lease that was lost with the server would hold it forever
        client.update_global_concurrency_limit(f"deployment:{deployment}", free)
    return [run.name for run in stuck]


def skip_missed(client: SyncPrefectClient, deployment: UUID, now: datetime) -> int:
    """Skip all scheduled runs whose time has passed but the latest; return how many. Runs by hand stay."""
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelled

    skipped = 0
    while missed := all_but_latest(find_runs(client, deployment, (StateType.SCHEDULED,), until=now)):
        for run in missed:
            _set(client, run, Cancelled(name="Skipped", message=MISSED))
        skipped += len(missed)
    return skipped


def all_but_latest(runs: Iterable[FlowRun]) -> list[FlowRun]:
    """The runs that the schedule created, without the one that was due last."""
    own = [run for run in runs if run.auto_scheduled]
    return sorted(own, key=lambda run: (run.expected_start_time is not None, run.expected_start_time))[:-1]


def find_runs(
    client: SyncPrefectClient, deployment: UUID, types: Iterable[StateType], until: datetime | None = None
) -> list[FlowRun]:
    """A deployment's first 200 runs in states of these types. until: only those expected to start by then."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=list(types))),
    )
    if until:
        wanted.expected_start_time = filters.FlowRunFilterExpectedStartTime.model_validate({"before_": until})
    return client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC)


def end_processes(runs: set[str]) -> None:
    """Kill every process of these flow runs, and the processes they started."""
    import psutil

    for process in psutil.process_iter():
        try:
            if runs and process.environ().get(settings.RUN_ID) in runs:
                process.kill()
        except psutil.Error:  # another user's, or gone
            continue


def watch_heartbeats(client: SyncPrefectClient) -> None:
    """Have the server itself set a run to Crashed whose heartbeats have stopped.

    For runs that our scheduler does not start: by hand, or in a work pool whose worker died too.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    if client.read_automations_by_name(WATCH):
        return
    beat = "prefect.flow-run.heartbeat"
    final = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled")}
    silent = EventTrigger(
        after={beat},
        expect={beat} | final,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=SILENCE),
    )
    crashed = ChangeFlowRunState(
        name=None, state=StateType.CRASHED, message=f"no heartbeat for {SILENCE} s", force=False
    )
    client.create_automation(AutomationCore(name=WATCH, trigger=silent, actions=[crashed]))


def watch_this_run() -> None:
    """Call `watch_heartbeats` in a flow's process that a worker of Prefect's started, not our scheduler."""
    if settings.RUN_ID in os.environ:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            watch_heartbeats(client)


def _set(client: SyncPrefectClient, run: FlowRun, state: State[None]) -> None:
    from prefect.exceptions import ObjectNotFound

    with contextlib.suppress(ObjectNotFound):  # deleted meanwhile
        client.set_flow_run_state(run.id, state, force=True)
