"""When to run what, as Prefect has it: one deployment, retrain/<name of the project's folder>."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError, ParamsError
from flows.scheduling.server import PORT

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

ENTRYPOINT = "flows/retrain.py:retrain"
BUSY = {"skip": "CANCEL_NEW", "queue": "ENQUEUE"}  # what becomes of a run that comes due during another
START = 600  # seconds that a run's process may take to start before its place is given away


@dataclass(frozen=True)
class Plan:
    """What a scheduler was asked for. interval: seconds. inbox: a folder to watch. parameters: the flow's."""

    cron: str | None = None
    interval: float | None = None
    timezone: str = "UTC"
    inbox: Path | None = None
    when_busy: str = "skip"
    port: int = PORT
    entrypoint: str = ENTRYPOINT
    parameters: dict[str, Any] = field(default_factory=dict)


def deployment(project: Path, plan: Plan) -> RunnerDeployment:
    """The deployment, not yet in Prefect's database. This process has to be in the project's folder.

    Raises ParamsError for a schedule that is none, DigitsError for a flow that can't be loaded.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment

    when = schedule(plan)
    flow(plan)
    strategy = ConcurrencyLimitStrategy[BUSY[plan.when_busy]]
    return RunnerDeployment.from_entrypoint(
        plan.entrypoint,
        name=name_of(project),
        schedules=[when] if when else [],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=strategy, grace_period_seconds=START
        ),
        parameters=plan.parameters,
        description=f"Retrains {project}",
        paused=False,
    )


def flow(plan: Plan) -> Callable[..., Any]:
    """The flow itself. Raises DigitsError when it can't be loaded."""
    from prefect.flows import load_flow_from_entrypoint

    try:
        found: Callable[..., Any] = load_flow_from_entrypoint(plan.entrypoint, use_placeholder_flow=False)
    except Exception as error:  # whatever a module does when it is imported
        why = error.__cause__ or error
        raise DigitsError(
            f"the flow {plan.entrypoint} can't be loaded ({type(why).__name__}: {why}): fix it, then start "
            "again"
        ) from None
    return found


def need_server() -> None:
    """Raises DigitsError when a user's own Prefect names no server: without one nothing can be scheduled."""
    from prefect.settings import get_current_settings

    if not get_current_settings().api.url:
        raise DigitsError(
            "DIGITS_PREFECT=own, but there is no server of your own: set PREFECT_API_URL, or a profile that "
            "has it"
        )


def schedule(plan: Plan) -> Schedule | None:
    """When to run; None for only when asked. Raises ParamsError with what is wrong."""
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.schedules import Cron, Interval

    if plan.cron is None:
        return Interval(plan.interval) if plan.interval else None
    try:
        CronSchedule(cron=plan.cron, timezone=plan.timezone)
    except ValueError:
        raise ParamsError(
            f"--cron '{plan.cron}' in the time zone '{plan.timezone}' is no schedule: five fields as in "
            "crontab (minute hour day month weekday), and a zone as Europe/Berlin"
        ) from None
    return Cron(plan.cron, timezone=plan.timezone)


def name_of(project: Path) -> str:
    """The deployment's name: that of the folder, without what Prefect does not take."""
    return "".join("-" if letter in "/%&><" else letter for letter in project.resolve().name) or "digits"
