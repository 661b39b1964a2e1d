"""What the monitoring flow does with an alarm; tests/pipeline/test_monitor_loop.py has it on a server."""

from types import SimpleNamespace

import pytest

from flows import artifacts, notify
from flows.scheduling import monitoring
from serving.monitoring import looking
from serving.monitoring.record import Record
from tests._project import ROOT

ALARM = {"name": "low above 0", "group": "inputs", "at": 5.0, "text": "50.0% of 300 images …"}
EVENT = {"rows": 300, "share": 0.5, "bound": 0.03, "too_often": True}
EVENT |= {key: ALARM[key] for key in ("name", "group")}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A project that `look` finds like this, what was sent, and what went to the inbox."""
    made = SimpleNamespace(root=tmp_path, sent=[], events=[], exported=[], labels=0)
    made.found = {"version": 3, "rows": 300, "alarms": [ALARM], "events": [EVENT], "label": ""}

    async def look(*_):
        return made.found

    async def accepted(_):
        return made.labels

    async def export(_, inbox):
        made.exported.append(inbox)
        return made.labels

    for name, function in (("look", look), ("accepted", accepted), ("export", export)):
        monkeypatch.setattr(looking, name, function)
    monkeypatch.setattr(notify, "send", made.sent.append)
    monkeypatch.setattr(artifacts, "monitoring", lambda *_: None)
    monkeypatch.setattr(monitoring, "prepare", lambda *_: True)
    monkeypatch.setattr(monitoring, "emit", lambda *event: made.events.append(event))
    Record(tmp_path).state.parent.mkdir(parents=True)
    return made


def run(world, policy="notify", **parameters):
    from flows.monitor import monitor

    text = (ROOT / "params.yaml").read_text().replace("policy: notify", f"policy: {policy}")
    (world.root / "params.yaml").write_text(text)
    return monitor.fn(project=str(world.root), **parameters)


def test_a_new_alarm_is_told_once_and_a_clear_look_is_no_news(world):
    state = run(world)
    assert (state.name, state.message) == ("Alarm", ALARM["text"])
    assert [notice.state for notice in world.sent] == ["Alarm"] and ALARM["text"] in world.sent[0].reason
    ((name, _, payload),) = world.events
    assert name == "digits.monitor.alarm" and payload["alarms"] == [ALARM]
    assert run(world).name == "Alarm" and len(world.sent) == len(world.events) == 1
    world.found["alarms"] = []
    assert run(world).name == "Clear" and len(world.sent) == 1
    world.found["alarms"] = [ALARM | {"at": 9.0}]
    assert run(world).name == "Alarm" and len(world.sent) == 2


def test_labels_go_to_the_inbox_once_there_are_enough_while_an_alarm_stands(world, tmp_path):
    assert "no inbox" in run(world, "retrain").message and not world.exported
    world.labels = 40
    assert "waits for 100 labels, of which there are 40" in run(world, "retrain", inbox=str(tmp_path)).message
    assert not world.exported
    world.labels = 120
    state = run(world, "retrain", inbox=str(tmp_path))
    assert "120 labels went to the inbox" in state.message and world.exported == [tmp_path]
    assert world.events[-1][0] == "digits.monitor.labelled" and world.events[-1][2]["labels"] == 120
    run(world, "label", inbox=str(tmp_path))
    assert len(world.exported) == 1, "that policy leaves it to people"


def test_what_is_not_watched_is_no_failure(world, monkeypatch):
    async def look(*_):
        raise looking.NotWatched("nothing is in service")

    monkeypatch.setattr(looking, "look", look)
    state = run(world)
    assert (state.name, state.is_completed(), world.sent) == ("Not watched", True, [])
