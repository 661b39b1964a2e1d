"""Looks at a project's requests: what they find, write, put before reviewers, and forget."""

import asyncio
import json

import numpy as np
import pandas as pd
import pytest

from digits.dataset import Split
from digits.files import write_json
from digits.runtime.errors import DataError
from digits.validate.rules import describe
from digits.validate.table import table
from serving.app.feedback import MONITOR, review
from serving.app.feedback.store import FeedbackStore
from serving.monitoring import labels, logs, looking, record
from serving.monitoring.looking import Kept, NotWatched
from serving.monitoring.record import Record
from tests._digits import digits
from tests.serving.monitoring._watched import HOUR, NOW, RULES, SETTINGS, fog, rows, serve

LABELLING = SETTINGS.model_copy(update={"policy": "label", "label_images": 40})


class World:
    """A project, and what its request log holds."""

    def __init__(self, project):
        self.project, self.log, self.hours = project, [], 0
        (project / ".digits" / "requests").mkdir(parents=True)
        self.kept = Kept(project / ".digits" / "requests", f"sqlite:///{project}/.digits/feedback.db")
        self.place = Record(project)

    def serve(self):
        images, answers = digits(600, seed=1)
        serve(self.project, images, answers, np.full(len(images), "mnist"))
        known = describe(table({"train": Split(images, answers, np.full(len(images), "mnist"))}, "mnist"))
        write_json(self.project / "data" / "reference.json", {"mnist": known})

    def read(self, _folders, since, until):
        every = pd.concat(self.log, ignore_index=True)
        return every[(every["at"] >= since) & (every["at"] < until)].reset_index(drop=True)

    def hour(self, images, answers, settings=SETTINGS, **facts):
        """An hour of these requests, and a look at its end."""
        self.log.append(rows(images, answers, since=NOW + self.hours * HOUR, **facts))
        self.hours += 1
        return self.look(settings)

    def look(self, settings=SETTINGS):
        at = NOW + self.hours * HOUR + looking.SETTLED
        return asyncio.run(looking.look(self.project, settings, RULES, self.kept, at))

    def corrections(self):
        async def found():
            store = FeedbackStore(self.kept.feedback)
            try:
                await store.open()
                return await review.rows(store)
            finally:
                await store.close()

        return asyncio.run(found())


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    monkeypatch.setattr(logs, "read", made.read)
    return made


def test_fog_raises_an_alarm_that_stands_and_has_the_foggy_digits_labelled(world):
    world.serve()
    clean = world.hour(*digits(200, seed=2), LABELLING)
    assert (clean["rows"], clean["alarms"], clean["label"]) == (200, (), "") and clean["version"] == 1
    images, answers = digits(300, seed=3)
    images[::2] = fog(images[::2])
    found = world.hour(images, answers, LABELLING)
    assert found["alarms"][0]["group"] == "inputs" and "expected" in found["alarms"][0]["text"]
    assert found["label"].startswith("40 images wait for a label")
    waiting = world.corrections()
    assert {(row.source, row.label, row.state) for row in waiting} == {(MONITOR, "", "pending")}
    shades = [min(row.image) for row in waiting]
    assert sum(shade >= 90 for shade in shades) >= 20, "the typical ones are foggy"
    again = world.look(LABELLING)
    assert again["rows"] == 0 and len(again["alarms"]) == len(found["alarms"])
    assert len(world.corrections()) == 40, "no more than were asked for, however often one looks"
    assert {rule["passed"] for rule in clean["rules"]} == {True} and len(clean["rules"]) > 20
    assert "quantiles of mean" in {rule["rule"] for rule in found["rules"] if not rule["passed"]}
    assert "✗ quantiles of mean" in world.place.page.read_text()
    facts = [fact["name"] for fact in found["facts"][:3]]
    assert {"low", "contrast"} & set(facts) and found["picture"]


def test_what_a_look_leaves_is_what_people_programs_and_the_next_look_read(world):
    world.serve()
    for seed in (2, 3):
        world.hour(*digits(50, seed=seed))
    latest, history = record.latest(world.place.latest), record.read_history(world.place.history)
    assert latest["rows"] == 50 and [look["rows"] for look in history] == [50, 50]
    page = world.place.page.read_text()
    assert "✓ Clear" in page and "not accepted" in page and "://" not in page.replace("http://www.w3.org", "")
    for each in (world.place.folder, world.place.state.parent):
        assert each.stat().st_mode & 0o077 == 0, "it may show pictures of people"
    short = SETTINGS.model_copy(update={"keep_looks": 2})
    world.look(short)
    assert [look["rows"] for look in record.read_history(world.place.history)] == [50, 0]
    world.hours += 24 * SETTINGS.keep_days + 2
    world.look()
    assert len(record.read_history(world.place.history)) == 1, "the old ones went"


def test_without_pictures_the_policies_say_so_and_notify_alone(world):
    world.serve()
    images, answers = digits(200, seed=3)
    found = world.hour(fog(images), answers, LABELLING, keep=False)
    assert found["alarms"] and "--log-images" in found["label"] and found["picture"] is None
    assert found["rules"] == []
    assert world.corrections() == []


def test_what_cant_be_watched_or_read_is_one_line(world):
    with pytest.raises(NotWatched, match="nothing is in service"):
        world.look()
    world.serve()
    world.hour(*digits(20, seed=2))
    world.place.state.write_text("{")
    with pytest.raises(DataError, match="delete it, and `digits monitor` begins anew"):
        world.look()


def test_an_image_is_forgotten_wherever_it_was(world, monkeypatch):
    world.serve()
    images, answers = digits(200, seed=3)
    world.hour(fog(images), answers, LABELLING)
    digest = world.corrections()[0].digest
    asked = []
    monkeypatch.setattr(logs, "forget", lambda folders, given: asked.append((*folders, given)) or 3)
    gone = asyncio.run(looking.forget(world.project, world.kept, digest))
    assert (gone.rows, gone.corrections, gone.batches) == (3, 1, ())
    assert asked == [(world.kept.log, digest)]
    assert digest not in {row.digest for row in world.corrections()}
    assert json.loads(world.place.latest.read_text())["picture"] is None
    assert "base64" not in world.place.page.read_text()


def test_the_least_sure_and_the_most_typical_are_chosen_once_each_and_only_if_they_hold_ink():
    images, answers = digits(60, seed=4)
    table = rows(
        np.concatenate([images, images[:5], np.zeros((3, 28, 28), np.uint8)]), np.resize(answers, 68)
    )
    table.loc[:3, "confidence"] = 0.2
    shows = np.arange(68) >= 30
    chosen = labels.choose(table, shows, 8)
    assert list(chosen.index[:4]) == [0, 1, 2, 3], "the least sure"
    assert len(chosen) == 8 and set(chosen.index[4:]) <= set(range(30, 60))
    assert labels.choose(table, np.zeros(68, bool), 8).digest.is_unique
