"""Which Prefect a project uses: its own, inside its folder, as environment variables.

Prefect reads its settings when it is imported, so this module does not import it: `apply` goes first.
A user's profile, cloud account and server are left out unless DIGITS_PREFECT=own asks for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from digits.runtime.processes import die_with_parent

OWN = "DIGITS_PREFECT"  # "own": the user's profile, server and PREFECT_HOME in place of the project's
HERE = "DIGITS_PREFECT_URL"  # the project's own server, told to the processes that belong to it
RUN_ID = "PREFECT__FLOW_RUN_ID"  # Prefect's, in the environment of every flow run's process
LOOPBACK = "127.0.0.1"
HEARTBEAT = 30  # seconds, the shortest that Prefect takes

FOREIGN = frozenset(  # who a user is, and where their runs go
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
ALWAYS = {  # nothing is sent, nothing asks a question
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
}
DEFAULTS = {  # a value that is set already stays
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a cold start on a busy machine
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
    # On disk: with leases in memory a server that was restarted ends the run that it finds at work.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # Several runs marked as late at once collide in SQLite for as long as they wait: 100 lines of log each.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
}


def home(project: Path) -> Path:
    """Where Prefect keeps its database and logs for a project."""
    return project.resolve() / ".prefect"


def own(given: Mapping[str, str] | None = None) -> bool:
    """Whether the user asks for a Prefect of their own in place of the project's."""
    return (os.environ if given is None else given).get(OWN, "") == "own"


def environment(project: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a process of the project's; `given` in place of this process's own.

    An address of the project's own server stays, so that what a scheduler starts finds the way back to it.
    """
    base = dict(os.environ if given is None else given)
    if own(base):
        return DEFAULTS | base | ALWAYS
    here = base.get(HERE)
    kept = {k: v for k, v in base.items() if k not in FOREIGN and not k.startswith("PREFECT_CLOUD_")}
    found = (
        DEFAULTS | kept | ALWAYS | {"PREFECT_HOME": str(home(project)), "PREFECT_SERVER_API_HOST": LOOPBACK}
    )
    if here and base.get("PREFECT_API_URL") == here:
        found["PREFECT_API_URL"] = here
    direct = _with_loopback(base.get("no_proxy") or base.get("NO_PROXY") or "")
    return found | {"NO_PROXY": direct, "no_proxy": direct}


def apply(project: Path) -> None:
    """Make this process's environment that of the project; before Prefect is imported."""
    wanted = environment(project)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def at(url: str) -> dict[str, str]:
    """What a process needs to know to use the project's server at this address of its API."""
    return {"PREFECT_API_URL": url, HERE: url}


def die_with_scheduler() -> None:
    """For a flow: when this process was started for one run, it ends with whoever started it."""
    if RUN_ID in os.environ:
        die_with_parent()


def _with_loopback(hosts: str) -> str:
    """A list of hosts that no proxy stands before, with this machine in it."""
    named = [host.strip() for host in hosts.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*named, LOOPBACK, "localhost"]))
