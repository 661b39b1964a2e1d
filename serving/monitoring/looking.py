"""One look at what is served: reads what is new in the request logs, has it judged, writes the report.

A look by a person, a timer or the flow goes on from where the last one ended. What it writes appears whole,
and the place to go on from is written last: a look that is killed is done again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digits import files, wire
from digits.runtime.errors import StoreError
from digits.runtime.params import MonitorParams, ValidateParams
from digits.runtime.progress import count
from serving.app.feedback import export as exporting
from serving.app.feedback.store import FeedbackStore
from serving.app.settings import FEEDBACK
from serving.monitoring import expectations, judge, labels, logs, moved, record, reference, report
from serving.monitoring.findings import Findings
from serving.monitoring.judge import Settings, State
from serving.monitoring.labels import Labels
from serving.monitoring.record import Record
from serving.monitoring.reference import Reference
from serving.store.store import Store

KEPT = ".digits"  # below the project's folder
SETTLED = 3.0  # seconds that a row may take from its request into the log
STRANGEST = 20_000  # the newest digits that facts and pictures are shown of
NO_IMAGES = (
    "no image can be put before a reviewer, since the logs keep none: `digits app --log-images` keeps them"
)


@dataclass(frozen=True)
class Kept:
    """Where the gateway and the model server of a project keep what they were asked.

    log: the folder of their request logs. feedback: the URL of the store of corrections.
    """

    log: Path
    feedback: str


@dataclass(frozen=True)
class Gone:
    """What was deleted of an image: rows of logs, corrections. batches: in which some were exported."""

    rows: int
    corrections: int
    batches: tuple[str, ...]


def kept(
    project: Path,
    environment: Mapping[str, str],
    request_log: Path | None = None,
    feedback: str | None = None,
) -> Kept:
    """Where a project keeps them, unless options or the environment say otherwise."""
    url = feedback or environment.get(FEEDBACK) or f"sqlite:///{project / KEPT / 'feedback.db'}"
    return Kept(request_log or project / KEPT / "requests", url)


class NotWatched(StoreError):
    """Nothing is in service, or a version that was published before there was monitoring."""


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[FeedbackStore]:
    store = FeedbackStore(url)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def look(
    project: Path, settings: MonitorParams, rules: ValidateParams, kept: Kept, now: float
) -> dict[str, Any]:
    """Look, and return what reports/monitoring/latest.json holds. now: unix seconds.

    rules: for the images, where they are kept.
    Raises NotWatched, StoreError when the corrections can't be used, DataError when the version's reference
    or the state is damaged, DigitsError while another look goes on.
    """
    published = Store(project / "models" / "serving")
    pointer = published.current()
    if pointer is None:
        raise NotWatched("nothing is in service, so nothing is watched: `make run`, or `digits promote`")
    version = published.version(pointer.stable)
    if not (version.path / wire.MONITORING).is_file():
        raise NotWatched(
            f"version {pointer.stable} is not watched, since it was exported without {wire.MONITORING}: "
            "`make run` publishes one that is"
        )
    compared = reference.load(version.path, pointer.stable)
    check = partial(
        expectations.check,
        dataset=str(files.read_json(version.path / wire.PROVENANCE)["dataset"]),
        reference=project / "data" / "reference.json",
        params=rules,
    )
    async with _opened(kept.feedback) as store:
        with Record(project).alone():
            return await _looked(project, store, _present(kept.log), compared, check, settings, now)


async def _looked(
    project: Path,
    store: FeedbackStore,
    folders: Sequence[Path],
    compared: Reference,
    check: Callable[[pd.DataFrame], list[dict[str, Any]]],
    settings: MonitorParams,
    now: float,
) -> dict[str, Any]:
    place = Record(project)
    state = record.read_state(place.state)
    until = now - SETTLED
    rows = logs.read(folders, state.get("read", 0.0), until)
    before = State.from_json(state["judge"]) if state.get("judge") else None
    asked = Settings(alarm_days=settings.alarm_days, slack=settings.slack)
    of_version = state.get("version") == compared.version
    answers = (state.get("answers", 0) if of_version else 0) + _answers(rows, compared.version)
    wrong = min(await labels.wrong(store, compared.version), answers)
    found, after = judge.look(rows, compared, before, asked, (answers - wrong, answers))
    window = _window(rows, found, folders, until)
    digits = window[window["kind"] == "digit"].tail(STRANGEST)
    strange = moved.strangeness(digits, compared.events)
    proposed, said = (state.get("proposed", 0) if found.alarms else 0), ""
    if found.alarms and settings.policy != "notify":
        proposed += await _propose(store, digits, found, compared, settings.label_images - proposed)
        said = _waits(await labels.waiting(store), proposed)
    await labels.tidy(store, settings.keep_days)
    latest = {
        "at": now,
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **asdict(found),
        "policy": settings.policy,
        "label": said,
        "facts": moved.facts(digits, compared.events),
        "measured": len(digits),
        "rules": check(digits),
        "picture": moved.picture(digits, strange),
    }
    looks = record.recent(
        [*record.read_history(place.history), _line(latest)], now, settings.keep_days, settings.keep_looks
    )
    record.write_history(place.history, looks)
    files.write_text(place.page, report.page(latest, looks, project.resolve().name))
    files.write_json(place.latest, latest)
    going_on = {"read": until, "judge": after.to_json(), "proposed": proposed}
    record.write_state(place.state, state | going_on | {"version": compared.version, "answers": answers})
    return latest


def _present(log: Path) -> list[Path]:
    """The folder, if there is one: a gateway or a server that never ran has made none."""
    return [log] if log.is_dir() else []


def _answers(rows: pd.DataFrame, version: int) -> int:
    """How many digits a version has read; what the gateway asked a server is in both logs."""
    return int(rows.loc[(rows["version"] == version) & rows["digit"].notna(), "digest"].nunique())


def _window(rows: pd.DataFrame, found: Findings, folders: Sequence[Path], until: float) -> pd.DataFrame:
    """The rows that an alarm's evidence is in; where none stands, those of this look."""
    since = min((alarm.since for alarm in found.alarms), default=None)
    return rows if since is None else logs.read(folders, since, until)


async def _propose(
    store: FeedbackStore, digits: pd.DataFrame, found: Findings, compared: Reference, most: int
) -> int:
    """Put images before reviewers, `most` for all alarms that stand together; how many it were."""
    raised = {alarm.name for alarm in found.alarms}
    shows = np.zeros(len(digits), bool)
    for event in compared.events:
        if any(name == event.name or name.startswith(f"{event.name} ") for name in raised):
            shows |= moved.shows(digits, event)
    return await labels.propose(store, labels.choose(digits, shows, max(most, 0)))


def _waits(waiting: Labels, proposed: int) -> str:
    """A line on what waits."""
    if not proposed:
        return NO_IMAGES
    return (
        f"{count(waiting.waiting, 'image')} {'waits' if waiting.waiting == 1 else 'wait'} for a label "
        f"(`digits feedback review`, or /review of the gateway); {count(waiting.accepted, 'label')} so far"
    )


def _line(latest: Mapping[str, Any]) -> dict[str, Any]:
    """A look as its line of the history."""
    return {
        "at": latest["at"],
        "version": latest["version"],
        "rows": latest["rows"],
        "alarms": [alarm["name"] for alarm in latest["alarms"]],
        "events": {
            event["name"]: {name: event[name] for name in ("group", "share", "bound", "too_often")}
            for event in latest["events"]
        },
    }


async def accepted(kept: Kept) -> int:
    """How many labels of digits wait for a retraining. Raises StoreError."""
    async with _opened(kept.feedback) as store:
        return (await labels.waiting(store)).accepted


async def export(kept: Kept, inbox: Path) -> int:
    """Pass what was accepted to an inbox, as `digits feedback export` does; how many. Raises StoreError."""
    async with _opened(kept.feedback) as store:
        return sum(batch.rows for batch in await exporting.export(store, inbox))


async def forget(project: Path, kept: Kept, digest: str) -> Gone:
    """Delete what is kept of an image: its rows in request logs, its corrections, its picture in the report.

    Raises StoreError when a store can't be used.
    """
    try:
        rows = logs.forget(_present(kept.log), digest)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"a request log can't be changed ({error}): try again") from None
    async with _opened(kept.feedback) as store:
        corrections, batches = await labels.forget(store, digest)
    place = Record(project)
    latest = record.latest(place.latest)
    if latest is not None and latest["picture"]:
        latest["picture"] = None
        files.write_json(place.latest, latest)
        looks = record.read_history(place.history)
        files.write_text(place.page, report.page(latest, looks, project.resolve().name))
    return Gone(rows, corrections, tuple(batches))
