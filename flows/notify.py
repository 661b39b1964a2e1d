"""Sends a notice of each run that needs a person: refused, rolled back, not fit to serve, failed, crashed.

The flow `retrain` calls `hook` when a run ends, and `send_refusals` for batches that were set aside. Notices
go to the addresses in DIGITS_WEBHOOK_URL, separated by spaces: to an http:// or https:// address as JSON, to
any other by Apprise (slack://, mailto://, tgram://, json:// …).

Without addresses nothing is sent. A notice that can't be sent is a warning in the log; it never fails a run
and never delays its end by more than DEADLINE. Addresses contain secrets: neither they nor what Apprise logs
about them reaches a log.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flows.clone import intake
from flows.clone.intake import Intake
from flows.rollout import outcomes

ADDRESSES = "DIGITS_WEBHOOK_URL"
# seconds that a run waits for all its notices; Apprise's own limits, 4 s each, are a socket's
DEADLINE = 30.0
RETRIES = 1
# at some level each of these logs the address that it posts to
LOGGERS = ("apprise", "urllib3.connectionpool")
# of the runs that completed
NEEDS_A_PERSON = frozenset({outcomes.REFUSED, outcomes.ROLLED_BACK, outcomes.NOT_FIT})

_sending = threading.local()  # .lines: what the thread has logged while it sends a notice


@dataclass(frozen=True)
class Notice:
    """What is sent."""

    project: str
    run: str
    state: str
    reason: str
    url: str | None

    @property
    def title(self) -> str:
        """One line: what happened, and to which run."""
        return f"{self.project}: {self.state} ({self.run})"

    @property
    def body(self) -> str:
        """The reason, and on a line of its own the run's page."""
        return "\n".join(filter(None, [self.reason, self.url]))

    @property
    def text(self) -> str:
        """Title and body."""
        return "\n".join(filter(None, [self.title, self.body]))


def hook(flow: Any, flow_run: Any, state: Any) -> None:  # noqa: ARG001 (Prefect calls it so)
    """For a flow's on_completion, on_failure and on_crashed. Whatever goes wrong here is logged, no more."""
    try:
        if state.is_completed() and state.name not in NEEDS_A_PERSON:
            return
        send(notice(flow_run, state))
    except Exception as error:  # a run must not fail because a notice could not be sent
        _log(f"no notice was sent: {type(error).__name__}")


def notice(flow_run: Any, state: Any) -> Notice:
    """Describe a flow run and the state it ended in."""
    project = Path(str((flow_run.parameters or {}).get("project", "."))).resolve().name
    api = os.environ.get("PREFECT_API_URL", "")
    page = f"{api.removesuffix('/api')}/runs/flow-run/{flow_run.id}" if api.endswith("/api") else None
    return Notice(project, str(flow_run.name), str(state.name), str(state.message or ""), page)


def send_refusals(project: Path, batches: Sequence[Intake]) -> None:
    """Send a notice of every batch that was set aside."""
    for batch in batches:
        if batch.became == intake.REFUSED:
            send(Notice(project.name, f"batch {batch.batch}", "Batch refused", batch.why, None))


def send(message: Notice) -> list[str]:
    """Send a notice to every address, in parallel; return and log a line for each failure."""
    senders: dict[str, Callable[[], str]] = {
        f"address {number} in {ADDRESSES}": partial(_send_to_address, address, message)
        for number, address in enumerate(os.environ.get(ADDRESSES, "").split(), 1)
    }
    for name in LOGGERS if senders else ():
        logging.getLogger(name).addFilter(_hold_back)
    failures = dict.fromkeys(senders, f"no end within {DEADLINE:g} s")

    def work(name: str) -> None:
        _sending.lines = []
        try:
            failures[name] = senders[name]()
        except Exception as error:  # its text may hold the address
            failures[name] = type(error).__name__

    # daemon threads don't keep the process alive
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in senders]
    until = time.monotonic() + DEADLINE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    problems = [f"{name} was sent no notice: {why}" for name, why in failures.copy().items() if why]
    for problem in problems:
        _log(problem)
    return problems


def _send_to_address(address: str, message: Notice) -> str:
    """Send to one address; return why it failed, or nothing."""
    import apprise  # not above: most runs send nothing

    asset = apprise.AppriseAsset(
        app_id="digits", app_desc="digits", async_mode=False, default_service_retry=RETRIES
    )
    plain = address.lower().startswith(("http://", "https://"))
    service = apprise.Apprise.instantiate(_json(address, message) if plain else address, asset=asset)
    if service is None:
        return "it is no URL that Apprise can use (https://appriseit.com lists them)"
    client = apprise.Apprise(service, asset=asset)
    title, body = ("", message.text) if plain else (message.title, message.body)
    if client.notify(
        body, title, notify_type=apprise.NotifyType.WARNING, body_format=apprise.NotifyFormat.TEXT
    ):
        return ""
    answers = re.findall(r"\berror=(\d{3})\b", "\n".join(_sending.lines))
    return f"it answered {answers[-1]}" if answers else "it was not reached, or did not answer"


def _json(address: str, message: Notice) -> dict[str, Any]:
    """Apprise's JSON service for a plain address: our fields in place of its own; path and query as given."""
    parts = urllib.parse.urlsplit(address)
    own = dict.fromkeys(("version", "title", "attachments", "type"), "")  # empty: left out
    return {
        "schema": "jsons" if parts.scheme == "https" else "json",
        "host": parts.netloc.rpartition("@")[2],
        "user": parts.username,
        "password": parts.password or "",
        "fullpath": parts._replace(scheme="", netloc="", fragment="").geturl(),
        "payload": own | asdict(message) | {"message": "text"},  # "message", its body, is sent as "text"
    }


def _hold_back(record: logging.LogRecord) -> bool:
    """A filter of loggers: keeps what a thread logs while it sends a notice, in place of logging it."""
    lines: list[str] | None = getattr(_sending, "lines", None)
    if lines is None:
        return True
    lines.append(record.getMessage())
    return False


def _log(text: str) -> None:
    from prefect.logging import get_logger

    get_logger("digits").warning("%s", text)
