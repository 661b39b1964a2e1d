"""Settings of the Prefect that a project uses, as environment variables: its own, inside its folder.

Prefect reads its settings when it is imported, so this module does not import it, and `apply` comes first.
A user's profile, cloud account and server are left out unless DIGITS_PREFECT=own asks for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from digits.runtime.processes import die_with_parent

OWN = "DIGITS_PREFECT"  # "own": the user's profile, server and PREFECT_HOME in place of the project's
HERE = "DIGITS_PREFECT_URL"  # the project's own server, for the processes that belong to it
RUN_ID = "PREFECT__FLOW_RUN_ID"  # Prefect's, in the environment of every flow run's process
LOOPBACK = "127.0.0.1"
HEARTBEAT = 30  # seconds, the shortest that Prefect takes

FOREIGN = frozenset(  # a user's identity, and where their runs go
    {
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_API_URL",
        "PREFECT_API_KEY",
        "PREFECT_API_AUTH_STRING",
        "PREFECT_CLIENT_CUSTOM_HEADERS",
        "PREFECT_UI_API_URL",
        "PREFECT_UI_URL",
        "PREFECT_SERVER_UI_API_URL",
    }
)
ALWAYS = {  # no telemetry, no prompts
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
}
DEFAULTS = {  # a value that is set already stays
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a cold start on a busy machine
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
    # On disk: with leases in memory a server that was restarted ends the run that is active.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # Several runs marked as late at once collide in SQLite as long as they wait, with 100 lines of log each.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
}


def home(project: Path) -> Path:
    """The folder of a project's Prefect: its database and logs."""
    return project.resolve() / ".prefect"


def uses_own(variables: Mapping[str, str] | None = None) -> bool:
    """Whether the user asks for their own Prefect, not the project's. variables: default os.environ."""
    return (os.environ if variables is None else variables).get(OWN, "") == "own"


def environment(project: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a process of the project. variables: to start from, default os.environ.

    The address of the project's own server stays, so that the processes that a scheduler starts can reach it.
    """
    base = dict(os.environ if variables is None else variables)
    if uses_own(base):
        return DEFAULTS | base | ALWAYS
    here = base.get(HERE)
    kept = {k: v for k, v in base.items() if k not in FOREIGN and not k.startswith("PREFECT_CLOUD_")}
    result = (
        DEFAULTS | kept | ALWAYS | {"PREFECT_HOME": str(home(project)), "PREFECT_SERVER_API_HOST": LOOPBACK}
    )
    if here and base.get("PREFECT_API_URL") == here:
        result["PREFECT_API_URL"] = here
    direct = _with_loopback(base.get("no_proxy") or base.get("NO_PROXY") or "")
    return result | {"NO_PROXY": direct, "no_proxy": direct}


def apply(project: Path) -> None:
    """Change this process's environment to the project's. Call it before Prefect is imported."""
    variables = environment(project)
    for name in set(os.environ) - set(variables):
        del os.environ[name]
    os.environ.update(variables)


def variables_for(url: str) -> dict[str, str]:
    """The variables with which a process uses the project's server. url: the address of its API."""
    return {"PREFECT_API_URL": url, HERE: url}


def die_with_scheduler() -> None:
    """Have this process end with its parent if it was started for one flow run. The flow calls it."""
    if RUN_ID in os.environ:
        die_with_parent()


def _with_loopback(hosts: str) -> str:
    """A no_proxy list with this machine added."""
    names = [host.strip() for host in hosts.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*names, LOOPBACK, "localhost"]))
