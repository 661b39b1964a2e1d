"""Makes the project's Prefect deployments, `retrain/<the project's folder>` and `monitor/…`, and reads the
runs of the first.

The scheduler serves the deployment; `digits status` shows what `state` reads.
"""

from __future__ import annotations

import contextlib
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError, ParamsError
from flows.clone import inbox
from flows.scheduling import server, settings
from flows.scheduling.server import PORT

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

ENTRYPOINT = "flows/retrain.py:retrain"
MONITOR = "flows/monitor.py:monitor"
BUSY = {
    "skip": "CANCEL_NEW",
    "queue": "ENQUEUE",
}  # what Prefect does with a run that comes due during another
FIELDS = 5  # of a line of crontab
START = 600  # seconds that a run's process may take to start before it loses its slot


@dataclass(frozen=True)
class Plan:
    """The options of a scheduler.

    interval: seconds. inbox: a folder to watch. parameters: the flow's. look_every: minutes between two looks
    at what is served; 0: none.
    """

    cron: str | None = None
    interval: float | None = None
    timezone: str = "UTC"
    inbox: Path | None = None
    when_busy: str = "skip"
    port: int = PORT
    entrypoint: str = ENTRYPOINT
    parameters: dict[str, Any] = field(default_factory=dict)
    look_every: int = 0


def watching(project: Path, plan: Plan) -> RunnerDeployment:
    """The deployment that looks at what is served, not yet in Prefect's database."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Interval

    parameters = {"project": str(project)} | ({"inbox": str(plan.inbox)} if plan.inbox else {})
    # From a fixed time on: a scheduler that is started often would else never come to a look.
    when = Interval(timedelta(minutes=plan.look_every), anchor_date=datetime(2020, 1, 1, tzinfo=UTC))
    skip = ConcurrencyLimitStrategy[BUSY["skip"]]
    return RunnerDeployment.from_entrypoint(
        MONITOR,
        name=name_of(project),
        schedules=[when],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=skip, grace_period_seconds=START
        ),
        parameters=parameters,
        description=f"Watches what {project} serves",
        paused=False,
    )


def deployment(project: Path, plan: Plan) -> RunnerDeployment:
    """The deployment, not yet in Prefect's database. The current directory must be the project's folder.

    Raises ParamsError for an invalid schedule, DigitsError for a flow that can't be loaded.
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


def queues(known: DeploymentResponse) -> bool:
    """Whether a run that comes due during another waits for its end."""
    options = known.concurrency_options
    return bool(options and options.collision_strategy.value == BUSY["queue"])


def flow(plan: Plan) -> Callable[..., Any]:
    """Load the flow itself. Raises DigitsError when that fails."""
    from prefect.flows import load_flow_from_entrypoint

    try:
        loaded: Callable[..., Any] = load_flow_from_entrypoint(plan.entrypoint, use_placeholder_flow=False)
    except Exception as error:  # an import may raise anything
        why = error.__cause__ or error
        raise DigitsError(
            f"the flow {plan.entrypoint} can't be loaded ({type(why).__name__}: {why}): fix it, then start "
            "again"
        ) from None
    return loaded


def need_server() -> None:
    """Raise DigitsError when a user's own Prefect has no server: without one nothing can be scheduled."""
    from prefect.settings import get_current_settings

    if not get_current_settings().api.url:
        raise DigitsError(
            "DIGITS_PREFECT=own, but your Prefect settings name no server: set PREFECT_API_URL, or use a "
            "profile that has it"
        )


def schedule(plan: Plan) -> Schedule | None:
    """The schedule in Prefect's form; None when the plan has neither cron nor interval.

    Raises ParamsError when it is invalid.
    """
    from prefect.schedules import Cron, Interval

    if plan.cron is None:
        return Interval(plan.interval) if plan.interval else None
    try:
        zone = zoneinfo.ZoneInfo(plan.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ParamsError(
            f"--timezone '{plan.timezone}' is not a time zone: give one such as Europe/Berlin"
        ) from None
    # Prefect would take a sixth field as seconds, where other programs have them first.
    if len(plan.cron.split()) == FIELDS or plan.cron.startswith("@"):
        with contextlib.suppress(ValueError, KeyError):
            cron: Any = import_module("prefect._vendor.croniter")  # untyped; what Prefect's server uses
            cron.croniter(plan.cron, datetime.now(zone)).get_next()
            return Cron(plan.cron, timezone=plan.timezone)
    raise ParamsError(
        f"--cron '{plan.cron}' is not a schedule, or has no next date: give five fields as in crontab "
        "(minute hour day month weekday), or @hourly, @daily, @weekly or @monthly"
    )


def name_of(project: Path) -> str:
    """The deployment's name: the folder's, with the characters replaced that Prefect does not allow."""
    return "".join("-" if letter in "/%&><" else letter for letter in project.resolve().name) or "digits"


TIMEOUT = 5.0  # seconds for an answer from this machine
RUNS = 5
SKIPPED = "Deployment concurrency limit reached."  # Prefect's message for runs that came due during another


def state(root: Path, runs: int = RUNS) -> dict[str, Any]:
    """The scheduler's state, as plain values for `digits status`.

    Keys: page and process (None when no scheduler runs), schedules, next, inbox, waiting, runs (the last
    ones), and problem: why the server could not be asked.
    """
    known: dict[str, Any] = {"page": None, "process": None, "problem": None, "schedules": [], "next": None}
    known |= {"inbox": None, "waiting": [], "runs": []}
    known["process"] = server.scheduler_process(settings.home(root))
    if known["process"] is None:
        return known
    try:
        url = server.find_running(root)
    except DigitsError as error:
        return known | {"problem": str(error)}
    if url is None:
        return known | {"problem": "its Prefect server is not on this machine, or is just starting"}
    import requests

    try:
        return known | {"page": server.page_of(url)} | _ask(url, root, runs)
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        return known | {"problem": f"the Prefect server at {url} did not answer ({type(error).__name__})"}


def _ask(url: str, root: Path, runs: int) -> dict[str, Any]:
    with server.session(root, url) as session:
        name = f"retrain/{name_of(root)}"
        answer = session.get(f"{url}/deployments/name/{name}", timeout=TIMEOUT)
        answer.raise_for_status()
        deployment = answer.json()

        def filtered(sort: str, limit: int, **state: Any) -> list[dict[str, Any]]:
            wanted = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"type": state}}
            body = {"sort": sort, "limit": limit, "flow_runs": wanted}
            posted = session.post(f"{url}/flow_runs/filter", json=body, timeout=TIMEOUT)
            posted.raise_for_status()
            return list(posted.json())

        last = filtered("START_TIME_DESC", 10 * runs, not_any_=["SCHEDULED"])
        following = filtered("EXPECTED_START_TIME_ASC", 1, any_=["SCHEDULED"])
    folder = deployment["parameters"].get("inbox")
    return {
        "schedules": [_when(each["schedule"]) for each in deployment["schedules"] if each["active"]],
        "next": str(following[0]["expected_start_time"])[:19] + "Z" if following else None,
        "inbox": folder,
        "waiting": _waiting(folder),
        "runs": [
            {
                "name": run["name"],
                "state": run["state_name"],
                "message": (run["state"] or {}).get("message") or "",
            }
            for run in last
            if (run["state"] or {}).get("message") != SKIPPED
        ][:runs],
    }


def _waiting(folder: str | None) -> list[str]:
    try:
        return [batch.name for batch in inbox.waiting(Path(folder))] if folder else []
    except DigitsError as error:
        return [str(error)]


def _when(schedule: dict[str, Any]) -> str:
    if cron := schedule.get("cron"):
        return f"cron {cron} ({schedule.get('timezone') or 'UTC'})"
    return f"every {float(schedule['interval']):g} s"
