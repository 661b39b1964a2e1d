"""Tells people of a run that needs them: refused, rolled back, failed or crashed. It never fails a run.

DIGITS_WEBHOOK_URL: JSON is posted there. DIGITS_EMAIL_BLOCK: a notification block of Prefect's, as
sendgrid-email/night-shift; its `notify` sends the same as text. Neither set: nothing is sent.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.clone import intake
from flows.clone.intake import Intake
from flows.rollout import outcomes

WEBHOOK = "DIGITS_WEBHOOK_URL"
EMAIL = "DIGITS_EMAIL_BLOCK"
TIMEOUT = 5.0  # seconds for a connection, and for an answer
TRIES = 2
TELLING = frozenset(
    {outcomes.REFUSED, outcomes.ROLLED_BACK, outcomes.NOT_FIT}
)  # ends that people want to know


@dataclass(frozen=True)
class Notice:
    """What is sent."""

    project: str
    run: str
    state: str
    reason: str
    url: str | None

    @property
    def text(self) -> str:
        """For people: a line, the reason, where to look."""
        lines = [f"{self.project}: {self.state} ({self.run})", self.reason, self.url or ""]
        return "\n".join(line for line in lines if line)


def hook(flow: Any, flow_run: Any, state: Any) -> None:  # noqa: ARG001 (Prefect calls it so)
    """For a flow's on_completion, on_failure and on_crashed. Whatever goes wrong here is logged, no more."""
    try:
        if state.is_completed() and state.name not in TELLING:
            return
        send(notice(flow_run, state))
    except Exception as error:  # a run must not fail because nobody could be told
        _log(f"no notice was sent: {type(error).__name__}")


def notice(flow_run: Any, state: Any) -> Notice:
    """A flow run and the state that it ended in, in words."""
    project = Path(str((flow_run.parameters or {}).get("project", "."))).resolve().name
    api = os.environ.get("PREFECT_API_URL", "")
    page = f"{api.removesuffix('/api')}/runs/flow-run/{flow_run.id}" if api.endswith("/api") else None
    return Notice(project, str(flow_run.name), str(state.name), str(state.message or ""), page)


def refused(project: Path, batches: Sequence[Intake]) -> None:
    """Tell of every batch that was set aside."""
    for batch in batches:
        if batch.became == intake.REFUSED:
            send(Notice(project.name, f"batch {batch.batch}", "Batch refused", batch.why, None))


def send(told: Notice, load: Callable[[str], Any] | None = None) -> list[str]:
    """Send to whoever is set in the environment; what could not be sent, in words, which are logged too.

    load: a block's name → the block; default: from Prefect.
    """
    problems = []
    if address := os.environ.get(WEBHOOK, ""):
        problems += _post(address, told)
    if block := os.environ.get(EMAIL, ""):
        try:
            (load or _load)(block).notify(told.text, subject=f"digits: {told.project}: {told.state}")
        except Exception as error:
            problems.append(f"the block {block} could not send ({type(error).__name__}: {error})")
    for problem in problems:
        _log(problem)
    return problems


def _post(address: str, told: Notice) -> list[str]:
    """Post to a webhook, at most twice; only its host is told on: the rest of an address may be a secret."""
    import requests

    host = urllib.parse.urlsplit(address).hostname or "its address"
    problem = ""
    for _ in range(TRIES):
        try:
            answer = requests.post(address, json=asdict(told) | {"text": told.text}, timeout=TIMEOUT)
        except requests.RequestException as error:
            problem = type(error).__name__
            continue
        if answer.ok:
            return []
        problem = f"it answered {answer.status_code}"
        if answer.status_code < 500:
            break  # asked again, it would answer the same
    return [f"the webhook at {host} was not reached ({problem}): check {WEBHOOK}"]


def _load(name: str) -> Any:
    from prefect.blocks.core import Block

    return Block.load(name)


def _log(text: str) -> None:
    from prefect.logging import get_logger

    get_logger("digits").warning("%s", text)
