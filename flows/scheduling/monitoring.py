"""The events that monitoring sends to Prefect, and the automation that answers them with a retraining.

They work with any Prefect server: the automation runs a deployment by its id, wherever that is served.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

ALARM = "digits.monitor.alarm"  # a new alarm stands: for people's own automations
LABELLED = "digits.monitor.labelled"  # labels of what raised it are in the inbox
FLUSH = 10  # seconds that an event may take to reach the server


def emit(event: str, project: str, payload: dict[str, Any]) -> None:
    """Send an event about a project, and wait until it has left."""
    from prefect.events import emit_event
    from prefect.events.worker import EventsWorker

    emit_event(event, resource=resource(project), payload=payload)
    EventsWorker.drain_all(timeout=FLUSH)


def resource(project: str) -> dict[str, str]:
    """What the events of a project are about."""
    return {"prefect.resource.id": f"digits.monitor.{project}", "prefect.resource.name": project}


def prepare(project: str, deployment: str) -> bool:
    """Have the server run a deployment, FLOW/NAME, at each `LABELLED`; whether there is such a deployment."""
    from prefect.client.orchestration import get_client
    from prefect.events.actions import RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            return False
        run = RunDeployment(
            source="selected",
            deployment_id=known.id,
            job_variables=None,
            parameters={"why": {"__prefect_kind": "jinja", "template": "{{ event.payload.why }}"}},
        )
        name = f"digits: labels of {project} have it retrained"
        for old in client.read_automations_by_name(name):
            if [getattr(action, "deployment_id", None) for action in old.actions] == [known.id]:
                return True
            client.delete_automation(old.id)  # of a deployment that was made anew
        trigger = EventTrigger(
            expect={LABELLED},
            match={"prefect.resource.id": resource(project)["prefect.resource.id"]},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        )
        client.create_automation(AutomationCore(name=name, trigger=trigger, actions=[run]))
    return True
