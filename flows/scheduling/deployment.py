"""What runs when, as Prefect has it: the deployment retrain/<the project's folder>, and its last runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime.errors import DigitsError, ParamsError
from flows.clone import inbox
from flows.scheduling import server, settings
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


TIMEOUT = 5.0  # seconds for an answer from this machine
RUNS = 5
SKIPPED = "Deployment concurrency limit reached."  # Prefect's, of runs that came due during another


def state(root: Path, runs: int = RUNS) -> dict[str, Any]:
    """Plain values: page and process (None where no scheduler is at work), schedules, next, inbox, last runs.

    A server that does not answer is told as `problem`.
    """
    found: dict[str, Any] = {"page": None, "process": None, "problem": None, "schedules": [], "next": None}
    found |= {"inbox": None, "waiting": [], "runs": []}
    found["process"] = server.scheduler(settings.home(root))
    if found["process"] is None:
        return found
    try:
        url = server.running(root)
    except DigitsError as error:
        return found | {"problem": str(error)}
    if url is None:
        return found | {"problem": "its Prefect server is not on this machine, or is just starting"}
    import requests

    try:
        return found | {"page": url.removesuffix("/api")} | _asked(url, root, runs)
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        return found | {"problem": f"the Prefect server at {url} did not answer ({type(error).__name__})"}


def _asked(url: str, root: Path, runs: int) -> dict[str, Any]:
    import requests

    with requests.Session() as session:
        session.trust_env = False  # no proxy stands before this machine
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
