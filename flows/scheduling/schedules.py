"""What a project's scheduler is set to and its last runs, asked over its Prefect server's API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digits.runtime.errors import DigitsError
from flows.clone import inbox
from flows.scheduling import deployment as registration
from flows.scheduling import locks, server, settings

TIMEOUT = 5.0  # seconds for an answer from this machine
RUNS = 5
SKIPPED = "Deployment concurrency limit reached."  # Prefect's, of runs that came due during another


def state(root: Path, runs: int = RUNS) -> dict[str, Any]:
    """Plain values: page and process (None where no scheduler is at work), schedules, next, inbox, last runs.

    A server that does not answer is told as `problem`.
    """
    found: dict[str, Any] = {"page": None, "process": None, "problem": None, "schedules": [], "next": None}
    found |= {"inbox": None, "waiting": [], "runs": []}
    found["process"] = locks.scheduler(settings.home(root))
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
        name = f"retrain/{registration.name_of(root)}"
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
