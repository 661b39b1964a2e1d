"""Settings of the Prefect that a project uses, as environment variables: its own, inside its folder.

Prefect reads its settings when it is imported, so this module does not import it, and `apply` comes first.
What a shell sets for another Prefect, such as a profile, a cloud account or the database of a server, is left
out unless DIGITS_PREFECT=own asks for it: of Prefect's variables only those in `DEFAULTS` keep their values.

Prefect's API runs any shell command that it is sent, and a port on loopback is open to every user of the
machine and to every web page that its browser opens. So the project's server wants a password, which is in
`.prefect/password`, and its clients get it by their environment, never on a command line.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from digits.runtime.errors import DigitsError
from digits.runtime.processes import die_with_parent

OWN = "DIGITS_PREFECT"  # "own": the user's profile, server and PREFECT_HOME in place of the project's
DATABASE = "DIGITS_PREFECT_DATABASE"  # where the project's server keeps its runs, else in its folder
HERE = "DIGITS_PREFECT_URL"  # the project's own server, for the processes that belong to it
RUN = "PREFECT__"  # Prefect's, in the environment of every flow run's process
RUN_ID = f"{RUN}FLOW_RUN_ID"
LOOPBACK = "127.0.0.1"
HEARTBEAT = 30  # seconds, the shortest that Prefect takes

PASSWORD_FILE = "password"  # below the folder of the project's Prefect
ALWAYS = {  # no telemetry, no prompts
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
}
DEFAULTS = {  # a value that is set already stays
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # a run tells its own steps
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


def password(project: Path) -> str:
    """The password of the project's Prefect server, as `user:password`, which the first call makes.

    Only the owner of the folder can read it. Raises DigitsError when it can be neither read nor made.
    """
    folder = home(project)
    file, new = folder / PASSWORD_FILE, folder / f".{PASSWORD_FILE}.{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if not file.exists():
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(f"digits:{secrets.token_urlsafe(32)}\n")
            with contextlib.suppress(FileExistsError):
                os.link(new, file)  # of two at once, one wins
            new.unlink()
        file.chmod(0o600)
        if found := file.read_text(encoding="ascii").strip():
            return found
    except (OSError, ValueError) as error:
        raise DigitsError(f"the password of the project's Prefect, {file}, can't be used ({error})") from None
    raise DigitsError(f"the password of the project's Prefect, {file}, is empty: delete the file")


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
    kept = {
        name: value
        for name, value in base.items()
        if name in DEFAULTS or name.startswith(RUN) or not name.startswith("PREFECT_")
    }
    secret = password(project)
    result = (
        DEFAULTS
        | kept
        | ALWAYS
        | {
            "PREFECT_HOME": str(home(project)),
            "PREFECT_SERVER_API_HOST": LOOPBACK,
            "PREFECT_SERVER_API_AUTH_STRING": secret,
            "PREFECT_API_AUTH_STRING": secret,
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        }
    )
    if database := base.get(DATABASE):
        result["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
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
