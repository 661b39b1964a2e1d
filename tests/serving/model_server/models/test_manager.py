"""Versions come and go while requests are inside. The models are stand-ins."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from digits_model_server.models import manager
from digits_model_server.models.config import ModelSettings, Policy
from digits_model_server.models.manager import Manager, Pace
from digits_model_server.models.versions import AVAILABLE, END, LOADING, UNLOADING
from digits_model_server.status import FAILED_PRECONDITION, NOT_FOUND, UNKNOWN, Status
from tests.serving.model_server._calls import meanwhile, until


class Model:
    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    """A base path, a manager of it, and a gate that holds up loading."""

    def __init__(self, base: Path, *, labels_for_unavailable: bool = False, **pace: float) -> None:
        self.base = base / "m"
        self.loads: list[str] = []
        self.models: dict[str, Model] = {}
        self.gate = threading.Event()
        self.gate.set()
        pace = Pace(**{"poll": 0.02, "retries": 0, "retry_after": 0.0, **pace})
        self.manager = Manager(self.load, pace, labels_for_unavailable=labels_for_unavailable)

    def load(self, path: Path) -> Model:
        self.loads.append(path.name)
        assert self.gate.wait(20)
        if (path / "broken").exists():
            raise Status(13, f"{path.name} is broken")
        self.models[path.name] = Model(path)
        return self.models[path.name]

    def add(self, *numbers: int, broken: bool = False, name: str = "m") -> list[ModelSettings]:
        """Publish versions of a model; return its settings."""
        for number in numbers:
            hidden = self.base.parent / name / f".incoming-{number}"
            hidden.mkdir(parents=True)
            if broken:
                (hidden / "broken").touch()
            hidden.rename(hidden.with_name(str(number)))
        return [ModelSettings(name, str(self.base.parent / name))]

    def settings(self, *versions: int, **more) -> list[ModelSettings]:
        policy = Policy("specific", versions=frozenset(versions)) if versions else Policy()
        return [ModelSettings("m", str(self.base), policy, **more)]

    def start(self, *versions: int, **more) -> None:
        self.manager.start(self.settings(*versions, **more))

    def apply(self, *versions: int, **more) -> None:
        self.manager.apply(self.settings(*versions, **more))

    @contextmanager
    def starting(self, settings: list[ModelSettings]) -> Iterator[threading.Thread]:
        """Start in a thread, since it waits; it must have ended soon after the block."""
        thread = threading.Thread(target=self.manager.start, args=(settings,))
        thread.start()
        yield thread
        thread.join(20)
        assert not thread.is_alive()

    def serving(self, label: str | None = None) -> int:
        version = self.manager.enter("m", label=label)
        version.leave()
        return version.number

    def state(self, number: int) -> int:
        try:
            return self.manager.states("m", number)[0][1]
        except Status:
            return 0  # not seen yet

    def close(self) -> None:
        self.gate.set()
        self.manager.stop()


@pytest.fixture
def make(tmp_path):
    """Makes a world with a pace of its own."""
    with ExitStack() as stack:
        yield lambda **pace: stack.enter_context(closing(World(tmp_path, **pace)))


@pytest.fixture
def world(make):
    return make()


def test_a_newer_version_takes_over_when_it_is_ready_and_the_old_one_waits_for_its_requests(world):
    world.gate.clear()
    world.add(1)
    with world.starting(world.settings()):
        until(lambda: world.state(1) == LOADING)
        world.gate.set()
    assert world.serving() == 1 and world.state(1) == AVAILABLE
    world.gate.clear()
    world.add(2)
    until(lambda: world.loads == ["1", "2"])
    assert world.serving() == 1
    inside = world.manager.enter("m")
    world.gate.set()
    until(lambda: world.serving() == 2 and world.state(1) == UNLOADING)
    time.sleep(0.05)
    assert not world.models["1"].closed
    inside.leave()
    until(lambda: world.state(1) == END)
    assert world.models["1"].closed
    assert world.manager.states("m") == [(2, AVAILABLE, None), (1, END, None)]


def test_a_version_that_can_t_be_loaded_changes_nothing_and_is_tried_again_when_it_comes_back(world):
    world.add(1)
    world.start()
    world.add(2, broken=True)
    until(lambda: world.state(2) == END)
    assert world.serving() == 1 and world.manager.states("m", 2)[0][2].message == "2 is broken"
    time.sleep(0.1)
    assert world.loads == ["1", "2"], "it is not tried again at every look"
    shutil.rmtree(world.base / "2")
    until(lambda: world.manager.states("m", 2)[0][2] is None)
    world.add(2)
    until(lambda: world.serving() == 2)


def test_loading_is_tried_again_as_often_as_asked_at_once_if_the_interval_is_negative(make):
    world = make(retries=2, retry_after=-60.0)
    world.add(1, broken=True)
    with pytest.raises(Status) as error:
        world.start()
    assert world.loads == ["1"] * 3 and error.value.code == UNKNOWN
    assert error.value.message == (
        "1 servable(s) did not become available: "
        "{{{name: m version: 1} due to error: INTERNAL: 1 is broken}, }"
    )


def test_what_leaves_the_disk_stops_serving_but_not_for_a_base_path_that_goes_away(world):
    world.add(1, 2)
    world.start()
    shutil.rmtree(world.base / "2")
    until(lambda: world.serving() == 1)
    world.base.rename(world.base.with_name("away"))
    time.sleep(0.1)
    assert world.serving() == 1
    world.base.with_name("away").rename(world.base)
    world.add(3)
    until(lambda: world.serving() == 3)
    for number in (1, 3):
        shutil.rmtree(world.base / str(number))
    until(lambda: world.models["3"].closed)
    with pytest.raises(Status, match=r"Servable not found for request: Latest\(m\)"):
        world.manager.enter("m")


def test_a_label_names_an_available_version_only_and_is_checked_before_anything_is_loaded(world):
    world.add(1, 2)
    with pytest.raises(Status, match="version 1 of model m, which is not currently available") as caught:
        world.start(labels={"stable": 1})
    assert caught.value.code == FAILED_PRECONDITION and not world.loads
    world.start(1, 2)
    with pytest.raises(Status, match="version 3 of model m, which is not currently available"):
        world.apply(1, 2, labels={"next": 3})
    world.apply(1, 2, labels={"stable": 1})
    assert world.serving("stable") == 1


def test_where_it_is_allowed_a_new_label_may_go_ahead_of_its_version(make):
    world = make(labels_for_unavailable=True)
    world.add(1)
    world.start(labels={"stable": 1})
    assert world.serving("stable") == 1
    world.apply(labels={"stable": 1, "next": 2})
    with pytest.raises(Status, match=r"Specific\(m, 2\)") as caught:
        world.serving("next")
    assert caught.value.code == NOT_FOUND
    with pytest.raises(Status, match="version 2 of model m, which is not") as caught:
        world.apply(labels={"stable": 2})
    assert caught.value.code == FAILED_PRECONDITION and world.serving("stable") == 1
    world.manager.apply(world.settings(1, labels={"stable": 1, "next": 2}))  # it keeps its version
    world.add(2)
    world.apply(1, 2, labels={"stable": 1, "next": 2})
    until(lambda: world.state(2) == AVAILABLE)
    assert world.serving("next") == 2


def test_a_label_moves_at_once_while_both_versions_serve(world):
    world.add(1, 2)
    world.start(1, 2)
    world.apply(1, 2, labels={"stable": 1})
    answers = []
    with meanwhile(lambda: answers.append(world.serving("stable")), threads=1):
        until(lambda: 1 in answers)
        world.apply(1, 2, labels={"stable": 2})
        until(lambda: 2 in answers)
    assert answers == sorted(answers)
    world.apply(1, 2)
    with pytest.raises(Status, match="Unrecognized servable version label: stable"):
        world.serving("stable")


def test_settings_are_the_whole_truth_and_wait_for_what_comes_not_for_what_goes(world):
    world.add(1)
    world.start()
    other = world.add(5, name="n")
    world.manager.apply([*world.settings(), *other])
    assert world.loads == ["1", "5"] and world.serving() == 1, "what stays is not loaded anew"
    inside = world.manager.enter("m")
    world.manager.apply(other)
    with pytest.raises(Status, match="Servable not found"):
        until(lambda: world.manager.enter("m").leave())
    assert world.state(1) == UNLOADING and not world.models["1"].closed
    inside.leave()
    until(lambda: world.models["1"].closed)
    assert not world.models["5"].closed


def test_settings_without_a_model_end_all_models_but_a_followed_file_without_one_none(world, caplog):
    world.add(1)
    world.start()
    world.manager.follow(list, 0.02)
    until(lambda: "they name no model" in caplog.text)
    time.sleep(0.1)
    assert world.serving() == 1 and caplog.text.count("they name no model") == 1
    world.manager.apply([])
    until(lambda: world.models["1"].closed)


def test_a_model_that_has_left_is_told_of_and_may_come_back(world):
    world.add(1, 2)
    world.start(1)
    world.manager.apply([])
    until(lambda: not world.manager.leaving)
    assert world.manager.states("m") == [(1, END, None)]
    world.apply(2)
    assert world.manager.states("m") == [(2, AVAILABLE, None), (1, END, None)]


def test_so_many_models_that_have_left_are_remembered(world, monkeypatch):
    monkeypatch.setattr(manager, "MOST_GONE", 2)
    world.manager.start([])
    for name in ("a", "b", "c"):
        world.manager.apply(world.add(1, name=name))
    world.manager.apply([])
    until(lambda: not world.manager.leaving and len(world.manager.gone) == 2)
    assert all(world.manager.states(name) == [(1, END, None)] for name in world.manager.gone)


def test_one_version_that_serves_is_enough_to_start_beside_one_that_fails(make):
    world = make(retries=1000, retry_after=60.0)
    world.add(1, 3)
    world.add(2, broken=True)
    world.start(1, 2, 3)
    assert world.loads == ["3", "2", "1"] and world.serving() == 3
    assert [world.state(number) for number in (3, 2, 1)] == [AVAILABLE, LOADING, AVAILABLE]


def test_a_specific_version_that_is_missing_and_a_second_folder_of_a_number_are_warned_of(world, caplog):
    world.add(1, 3)
    (world.base / "003").mkdir()
    world.start(1, 2)
    assert world.serving() == 1 and "holds versions [1, 3]; left out: 003: another" in caplog.text
    assert "versions [2] are configured but missing" in caplog.text


def test_the_policy_specific_without_versions_serves_nothing_and_says_so(world, caplog):
    world.add(1)
    with world.starting([ModelSettings("m", str(world.base), Policy("specific"))]):
        until(lambda: "the policy specific names none" in caplog.text)
        world.manager.stop()
    assert not world.loads


def test_a_new_model_that_fails_is_an_error_of_the_call_and_the_others_serve_on(world):
    world.add(1)
    world.start()
    with pytest.raises(Status) as caught:
        world.manager.apply([*world.settings(), *world.add(1, broken=True, name="bad")])
    assert caught.value.code == UNKNOWN and caught.value.message == (
        "1 model(s) did not become available: "
        "{{{name: bad version: 1} due to error: INTERNAL: 1 is broken}, }"
    )
    assert world.serving() == 1


def test_followed_settings_are_applied_and_bad_ones_are_not(world):
    world.add(1, 2)
    found = {}
    world.start(1)
    world.manager.follow(lambda: found["settings"], 0.02)  # fails until there are some
    time.sleep(0.1)
    assert world.serving() == 1
    found["settings"] = world.settings(2)
    until(lambda: world.serving() == 2)


def test_no_request_is_lost_while_versions_change(world):
    world.add(1, 2)
    world.start(1)
    answers = []

    def ask():
        version = world.manager.enter("m")
        assert not version.loaded.closed and version.loaded.name == str(version.number)
        answers.append(version.number)
        version.leave()

    with meanwhile(ask, threads=4):
        for wanted in [2, 1] * 10:
            world.apply(wanted)
            until(lambda wanted=wanted: world.serving() == wanted)
    assert set(answers) == {1, 2}


def test_a_version_or_a_model_that_is_wanted_no_more_is_not_tried_again(make):
    world = make(retries=1000, retry_after=0.02)
    world.add(1)
    world.start()
    world.add(2, broken=True)
    broken = world.add(5, broken=True, name="n")
    world.manager.declare([*world.settings(), *broken])
    until(lambda: min(map(world.loads.count, "25")) > 1)
    shutil.rmtree(world.base / "2")
    world.manager.declare(world.settings())
    until(lambda: world.state(2) == END and not world.manager.leaving)
    tried = len(world.loads)
    time.sleep(0.15)
    assert len(world.loads) == tried and world.serving() == 1


def test_without_polling_the_disk_is_looked_at_once_and_again_for_new_settings(make):
    world = make(poll=0)
    world.add(1)
    world.start()
    world.add(2)
    time.sleep(0.15)
    assert world.serving() == 1
    world.apply()
    until(lambda: world.serving() == 2)


def test_below_zero_the_disk_is_never_looked_at(make):
    world = make(poll=-1)
    world.add(1)
    with world.starting(world.settings()) as waiting:
        time.sleep(0.15)
        assert waiting.is_alive() and not world.loads
        world.manager.stop()
    assert not world.loads


def test_a_start_waits_for_a_base_path_that_is_missing_which_stops_no_other_model(world):
    world.add(1)
    gone = world.add(name="gone")
    with world.starting([*gone, *world.settings()]) as starting:
        until(lambda: world.state(1) == AVAILABLE)
        assert starting.is_alive(), "the start waits for every model"
        world.add(2)
        until(lambda: world.serving() == 2)
        world.add(1, name="gone")
