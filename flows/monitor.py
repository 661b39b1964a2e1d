"""The monitoring flow: looks at what is served, and acts on alarms by the policy in params.yaml.

The schedule runs it every `monitor.every_minutes`. With every policy the report is an artifact, and a new
alarm is a Prefect event, `digits.monitor.alarm`, and a notice. With `label` and `retrain` images wait for a
label in the store of corrections (serving.monitoring). With `retrain`, once there are enough labels, they go
to the inbox, and an event, `digits.monitor.labelled`, has an automation of the server run the deployment of
`retrain`: a retrained model passes both gates and the canary like any other.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from digits.runtime import params
from digits.runtime.errors import DigitsError
from digits.runtime.params import MonitorParams
from digits.runtime.progress import count
from flows import artifacts, notify
from flows.notify import Notice
from flows.scheduling import monitoring, recovery, settings
from flows.scheduling.deployment import name_of
from serving.monitoring import looking, record
from serving.monitoring.looking import Kept, NotWatched
from serving.monitoring.record import Record

CLEAR, ALARM, NOT_WATCHED = "Clear", "Alarm", "Not watched"


@flow(
    name="monitor",
    flow_run_name="look",
    persist_result=False,
    validate_parameters=False,
    on_failure=[notify.hook],
    on_crashed=[notify.hook],
)
def monitor(project: str = ".", inbox: str | None = None, retrain: str | None = None) -> State[Any]:
    """Look at what a project serves, and act on alarms.

    inbox: where labels go with the policy `retrain`. retrain: the deployment that is run then, FLOW/NAME;
    default: the project's own.
    """
    settings.die_with_scheduler()
    recovery.watch_this_run()
    root = Path(project).resolve()
    try:
        wanted = params.load("monitor", root / "params.yaml")
        kept = looking.kept(root, os.environ)
        rules = params.load("validate", root / "params.yaml")
        latest = asyncio.run(looking.look(root, wanted, rules, kept, time.time()))
        artifacts.monitoring(latest, Record(root).page)
        said = [alarm["text"] for alarm in latest["alarms"]]
        _tell(root, latest)
        if latest["alarms"] and wanted.policy == "retrain":
            deployment = retrain or f"retrain/{name_of(root)}"
            said.append(_retrain(root, wanted, kept, inbox, deployment, latest["alarms"]))
        said = [*said, latest["label"]] if latest["label"] else said
    except NotWatched as error:
        return Completed(name=NOT_WATCHED, message=str(error))
    except DigitsError as error:  # its text is for a person: no stack trace
        return Failed(message=" ".join(str(error).split()), data=error)
    message = "; ".join(said) or f"{count(latest['rows'], 'row')} since the last look"
    return Completed(name=ALARM if latest["alarms"] else CLEAR, message=message)


def _tell(root: Path, latest: Mapping[str, Any]) -> None:
    """Send an event and a notice of alarms that nobody was told of yet."""
    place = Record(root)
    with place.alone():
        state = record.read_state(place.state)
        known = state.get("told", {})
        new = [alarm for alarm in latest["alarms"] if known.get(alarm["name"]) != alarm["at"]]
        if new:
            monitoring.emit(monitoring.ALARM, name_of(root), {"version": latest["version"], "alarms": new})
            reason = "; ".join(alarm["text"] for alarm in new)
            notify.send(Notice(root.name, "monitoring", "Alarm", f"{reason}. {Record(root).page}", None))
        told = {alarm["name"]: alarm["at"] for alarm in latest["alarms"]}
        if told != known:
            record.write_state(place.state, state | {"told": told})


def _retrain(
    root: Path,
    wanted: MonitorParams,
    kept: Kept,
    inbox: str | None,
    deployment: str,
    alarms: Sequence[Mapping[str, Any]],
) -> str:
    """Once there are enough labels, pass them on and have the deployment run; a line on what was done."""
    if inbox is None:
        return (
            "no retraining starts by itself, since the schedule has no inbox (`digits schedule --inbox DIR`)"
        )
    labels = asyncio.run(looking.accepted(kept))
    if labels < wanted.retrain_from:
        return f"retraining waits for {count(wanted.retrain_from, 'label')}, of which there are {labels}"
    names = ", ".join(alarm["name"] for alarm in alarms)[:200]
    if not monitoring.prepare(name_of(root), deployment):
        get_run_logger().warning("there is no deployment %s: nobody runs it", deployment)
    rows = asyncio.run(looking.export(kept, Path(inbox)))
    why = f"monitoring: {names}"
    monitoring.emit(monitoring.LABELLED, name_of(root), {"why": why, "labels": rows})
    return f"{count(rows, 'label')} went to the inbox: {deployment} runs"
