"""Versions come and go while requests are inside. The models are stand-ins."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from serving.model_server.models import manager
from serving.model_server.models.config import ModelSettings, Policy
from serving.model_server.models.manager import Manager, Pace
from serving.model_server.models.versions import AVAILABLE, END, LOADING, START, UNLOADING
from serving.model_server.status import FAILED_PRECONDITION, NOT_FOUND, UNKNOWN, Status


class Model:
    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    """A base path, a manager of it, and a gate that holds up loading."""

    def __init__(self, base: Path, *, labels_for_unavailable: bool = False, **pace: float) -> None:
        self.base = base
        self.loads: list[str] = []
        self.models: dict[str, Model] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.manager = Manager(
            self.load,
            Pace(**{"poll": 0.02, "retries": 0, "retry_after": 0.0, **pace}),
            labels_for_unavailable=labels_for_unavailable,
        )

    def load(self, path: Path) -> Model:
        self.loads.append(path.name)
        assert self.gate.wait(20)
        if (path / "broken").exists():
            raise Status(13, f"{path.name} is broken")
        self.models[path.name] = Model(path)
        return self.models[path.name]

    def add(self, number: int, *, broken: bool = False) -> None:
        hidden = self.base / f".incoming-{number}"
        hidden.mkdir(parents=True)
        if broken:
            (hidden / "broken").touch()
        hidden.rename(self.base / str(number))

    def settings(self, *versions: int, **more) -> list[ModelSettings]:
        policy = Policy("specific", versions=frozenset(versions)) if versions else Policy()
        return [ModelSettings("m", str(self.base), policy, **more)]

    def serving(self) -> int:
        version = self.manager.enter("m")
        version.leave()
        return version.number

    def labelled(self, label: str) -> int:
        version = self.manager.enter("m", label=label)
        version.leave()
        return version.number

    def state(self, number: int) -> int:
        try:
            return self.manager.states("m", number)[0][1]
        except Status:
            return 0  # not seen yet


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "m")
    made.base.mkdir()
    yield made
    made.gate.set()
    made.manager.stop()


def test_the_newest_serves_and_a_newer_one_takes_over(world):
    world.add(1)
    world.manager.start(world.settings())
    assert world.serving() == 1
    world.add(2)
    until(lambda: world.serving() == 2)
    until(lambda: world.state(1) == END)
    assert world.models["1"].closed
    assert world.manager.states("m") == [(2, AVAILABLE, None), (1, END, None)]


def test_the_old_one_serves_until_the_new_one_is_ready(world):
    world.add(1)
    world.manager.start(world.settings())
    world.gate.clear()
    world.add(2)
    until(lambda: world.loads == ["1", "2"])
    assert world.serving() == 1
    world.gate.set()
    until(lambda: world.serving() == 2)


def test_a_version_that_can_t_be_loaded_changes_nothing_and_its_error_is_kept(world):
    world.add(1)
    world.manager.start(world.settings())
    world.add(2, broken=True)
    until(lambda: world.state(2) == END)
    assert world.serving() == 1 and world.manager.states("m", 2)[0][2].message == "2 is broken"
    time.sleep(0.1)
    assert world.loads == ["1", "2"], "it is not tried again at every look"


def test_a_failed_version_that_goes_and_comes_back_is_tried_again(world):
    world.add(1)
    world.manager.start(world.settings())
    world.add(2, broken=True)
    until(lambda: world.state(2) == END)
    shutil.rmtree(world.base / "2")
    until(lambda: world.manager.states("m", 2)[0][2] is None)
    world.add(2)
    until(lambda: world.serving() == 2)


def test_loading_is_tried_again_as_often_as_asked(tmp_path):
    world = World(tmp_path, retries=2)
    world.add(1, broken=True)
    with pytest.raises(Status) as error:
        world.manager.start(world.settings())
    assert world.loads == ["1"] * 3 and error.value.code == UNKNOWN
    assert error.value.message == (
        "1 servable(s) did not become available: "
        "{{{name: m version: 1} due to error: INTERNAL: 1 is broken}, }"
    )
    world.manager.stop()


def test_going_back_is_loading_the_older_one_before_the_newer_one_goes(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings(2))
    world.manager.apply(world.settings(1))
    until(lambda: world.serving() == 1)
    until(lambda: world.models["2"].closed)
    world.manager.apply(world.settings(2))
    until(lambda: world.serving() == 2)
    assert world.loads == ["2", "1", "2"]


def test_a_request_inside_keeps_its_version_open(world):
    world.add(1)
    world.manager.start(world.settings())
    inside = world.manager.enter("m")
    world.add(2)
    until(lambda: world.serving() == 2)
    time.sleep(0.05)
    assert not world.models["1"].closed
    inside.leave()
    until(lambda: world.models["1"].closed)


def test_a_base_path_that_goes_away_stops_nothing_and_comes_back(world):
    world.add(1)
    world.manager.start(world.settings())
    world.base.rename(world.base.with_name("away"))
    time.sleep(0.1)
    assert world.serving() == 1
    world.base.with_name("away").rename(world.base)
    world.add(2)
    until(lambda: world.serving() == 2)


def test_a_deleted_version_goes_and_the_one_before_it_comes(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings())
    shutil.rmtree(world.base / "2")
    until(lambda: world.serving() == 1)


def test_an_emptied_base_path_stops_serving(world):
    world.add(1)
    world.manager.start(world.settings())
    shutil.rmtree(world.base / "1")
    until(lambda: world.models["1"].closed)
    with pytest.raises(Status, match=r"Servable not found for request: Latest\(m\)"):
        world.manager.enter("m")


def test_a_start_waits_for_the_first_version(world):
    threading.Timer(0.1, world.add, [1]).start()
    world.manager.start(world.settings())
    assert world.serving() == 1


@pytest.mark.parametrize(
    ("asked", "said", "code"),
    [
        (("x",), r"Latest\(x\)", NOT_FOUND),
        (("m", 9), r"Servable not found for request: Specific\(m, 9\)", NOT_FOUND),
        (("m", None, "blue"), "Unrecognized servable version label: blue", 3),
        (("",), "ModelSpec has no name specified.", 3),
    ],
)
def test_what_is_not_there_is_named(world, asked, said, code):
    world.add(1)
    world.manager.start(world.settings())
    with pytest.raises(Status, match=said) as caught:
        world.manager.enter(*asked)
    assert caught.value.code == code


def test_a_label_names_an_available_version_only(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings(1, 2))
    with pytest.raises(Status, match="version 3 of model m, which is not currently available") as caught:
        world.manager.apply(world.settings(1, 2, labels={"next": 3}))
    assert caught.value.code == FAILED_PRECONDITION
    world.manager.apply(world.settings(1, 2, labels={"stable": 1}))
    version = world.manager.enter("m", label="stable")
    assert version.number == 1
    version.leave()


def test_a_label_is_checked_before_anything_is_loaded(world):
    world.add(1)
    with pytest.raises(Status, match="version 1 of model m, which is not currently available") as caught:
        world.manager.start(world.settings(labels={"stable": 1}))
    assert caught.value.code == FAILED_PRECONDITION and not world.loads


def test_where_it_is_allowed_a_new_label_may_go_ahead_of_its_version(tmp_path):
    world = World(tmp_path, labels_for_unavailable=True)
    world.add(1)
    world.manager.start(world.settings(labels={"stable": 1}))
    assert world.labelled("stable") == 1
    world.manager.apply(world.settings(labels={"stable": 1, "next": 2}))
    with pytest.raises(Status, match=r"Specific\(m, 2\)") as caught:
        world.labelled("next")
    assert caught.value.code == NOT_FOUND
    with pytest.raises(Status, match="version 2 of model m, which is not") as caught:
        world.manager.apply(world.settings(labels={"stable": 2}))
    assert caught.value.code == FAILED_PRECONDITION and world.labelled("stable") == 1
    world.manager.apply(world.settings(1, labels={"stable": 1, "next": 2}))  # it keeps its version
    world.add(2)
    world.manager.apply(world.settings(1, 2, labels={"stable": 1, "next": 2}))
    until(lambda: world.state(2) == AVAILABLE)
    assert world.labelled("next") == 2
    world.manager.stop()


def test_a_label_moves_at_once_while_both_versions_serve(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings(1, 2))
    world.manager.apply(world.settings(1, 2, labels={"stable": 1}))
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(world.labelled("stable"))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: 1 in answers)
    world.manager.apply(world.settings(1, 2, labels={"stable": 2}))
    until(lambda: 2 in answers)
    stop.set()
    asking.join(20)
    assert answers == sorted(answers)
    world.manager.apply(world.settings(1, 2))
    with pytest.raises(Status, match="Unrecognized servable version label: stable"):
        world.labelled("stable")


def test_settings_are_the_whole_truth(world, tmp_path):
    world.add(1)
    world.manager.start(world.settings())
    other = tmp_path / "other"
    (other / "5").mkdir(parents=True)
    world.manager.apply([ModelSettings("n", str(other))])
    version = world.manager.enter("n")
    assert version.number == 5
    version.leave()
    until(lambda: world.models["1"].closed)
    with pytest.raises(Status, match="Servable not found"):
        world.manager.enter("m")


def test_settings_without_a_model_end_all_models_but_a_followed_file_without_one_none(world, caplog):
    world.add(1)
    world.manager.start(world.settings())
    world.manager.follow(list, 0.02)
    until(lambda: "they name no model" in caplog.text)
    time.sleep(0.1)
    assert world.serving() == 1 and caplog.text.count("they name no model") == 1
    world.manager.apply([])
    until(lambda: world.models["1"].closed)


def test_a_reload_does_not_wait_for_the_requests_inside_what_goes(world, tmp_path):
    world.add(1)
    world.manager.start(world.settings())
    inside = world.manager.enter("m")
    (tmp_path / "other" / "5").mkdir(parents=True)
    world.manager.apply([ModelSettings("n", str(tmp_path / "other"))])
    until(lambda: world.state(1) == UNLOADING)
    assert not world.models["1"].closed
    inside.leave()
    until(lambda: world.models["1"].closed)


def test_a_model_that_has_left_is_told_of_and_may_come_back(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings(1))
    world.manager.apply([])
    until(lambda: not world.manager.leaving)
    assert world.manager.states("m") == [(1, END, None)]
    world.manager.apply(world.settings(2))
    assert world.manager.states("m") == [(2, AVAILABLE, None), (1, END, None)]
    world.manager.apply([])
    until(lambda: not world.manager.leaving)
    world.manager.apply(world.settings(1, 2))
    assert world.manager.states("m") == [(2, AVAILABLE, None), (1, AVAILABLE, None)]


def test_so_many_models_that_have_left_are_remembered(world, tmp_path, monkeypatch):
    monkeypatch.setattr(manager, "MOST_GONE", 2)
    world.manager.start([])
    for name in ("a", "b", "c"):
        (tmp_path / name / "1").mkdir(parents=True)
        world.manager.apply([ModelSettings(name, str(tmp_path / name))])
    world.manager.apply([])
    until(lambda: not world.manager.leaving and len(world.manager.gone) == 2)
    assert all(world.manager.states(name) == [(1, END, None)] for name in world.manager.gone)


def test_models_that_stay_in_the_settings_are_not_loaded_anew(world, tmp_path):
    world.add(1)
    world.manager.start(world.settings())
    (tmp_path / "other" / "5").mkdir(parents=True)
    world.manager.apply([*world.settings(), ModelSettings("n", str(tmp_path / "other"))])
    assert world.loads == ["1", "5"] and world.serving() == 1


def test_one_version_that_serves_is_enough_to_start_beside_one_that_fails(tmp_path):
    world = World(tmp_path, retries=1000, retry_after=60.0)
    world.add(1)
    world.add(2, broken=True)
    world.add(3)
    world.manager.start(world.settings(1, 2, 3))
    assert world.loads == ["3", "2", "1"] and world.serving() == 3
    assert [world.state(number) for number in (3, 2, 1)] == [AVAILABLE, LOADING, AVAILABLE]
    world.manager.stop()


def test_each_state_of_a_version_is_seen(world):
    world.add(1)
    world.gate.clear()
    starting = threading.Thread(target=world.manager.start, args=(world.settings(),))
    starting.start()
    until(lambda: world.state(1) == LOADING)
    world.gate.set()
    starting.join(20)
    assert world.state(1) == AVAILABLE
    inside = world.manager.enter("m")
    shutil.rmtree(world.base / "1")
    until(lambda: world.state(1) == UNLOADING)
    inside.leave()
    until(lambda: world.state(1) == END)
    assert (START, LOADING, AVAILABLE, UNLOADING, END) == (10, 20, 30, 40, 50)


def test_a_specific_version_that_is_missing_is_only_warned_of(world, caplog):
    world.add(1)
    world.add(3)
    world.manager.start(world.settings(1, 2))
    assert world.serving() == 1
    assert "holds versions [1, 3]; versions [2] are configured but missing" in caplog.text


def test_the_policy_specific_without_versions_serves_nothing_and_says_so(world, caplog):
    world.add(1)
    settings = [ModelSettings("m", str(world.base), Policy("specific"))]
    starting = threading.Thread(target=world.manager.start, args=(settings,))
    starting.start()
    until(lambda: "the policy specific names none" in caplog.text)
    world.manager.stop()
    starting.join(20)
    assert not world.loads


def test_of_two_folders_with_the_same_number_the_one_left_out_is_warned_of(world, caplog):
    world.add(7)
    (world.base / "007").mkdir()
    world.manager.start(world.settings())
    assert world.loads == ["7"] and "left out: 007: another" in caplog.text


def test_a_new_model_that_fails_is_an_error_of_the_call_and_the_others_serve_on(world, tmp_path):
    world.add(1)
    world.manager.start(world.settings())
    (tmp_path / "bad" / "1").mkdir(parents=True)
    (tmp_path / "bad" / "1" / "broken").touch()
    with pytest.raises(Status) as caught:
        world.manager.apply([*world.settings(), ModelSettings("bad", str(tmp_path / "bad"))])
    assert caught.value.code == UNKNOWN and caught.value.message == (
        "1 model(s) did not become available: "
        "{{{name: bad version: 1} due to error: INTERNAL: 1 is broken}, }"
    )
    assert world.serving() == 1


def test_followed_settings_are_applied_and_bad_ones_are_not(world):
    world.add(1)
    world.add(2)
    current = {"settings": world.settings(1)}

    def read():
        if current["settings"] is None:
            raise ValueError("half a file")
        return current["settings"]

    world.manager.start(world.settings(1))
    world.manager.follow(read, 0.02)
    current["settings"] = None
    time.sleep(0.1)
    assert world.serving() == 1
    current["settings"] = world.settings(2)
    until(lambda: world.serving() == 2)


def test_no_request_is_lost_while_versions_change(world):
    world.add(1)
    world.add(2)
    world.manager.start(world.settings(1))
    failures, answers, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                version = world.manager.enter("m")
                if version.loaded.closed or version.loaded.name != str(version.number):
                    failures.append("answered by a closed or another version")
                answers.append(version.number)
                version.leave()
            except Status as error:
                failures.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        wanted = turn % 2 + 1
        world.manager.apply(world.settings(wanted))
        until(lambda wanted=wanted: world.serving() == wanted)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and set(answers) == {1, 2}


def test_a_negative_interval_between_attempts_is_none(tmp_path):
    world = World(tmp_path, retries=3, retry_after=-1.0)
    world.add(1, broken=True)
    began = time.monotonic()
    with pytest.raises(Status, match="1 is broken"):
        world.manager.start(world.settings())
    assert world.loads == ["1"] * 4 and time.monotonic() - began < 5
    world.manager.stop()


def test_a_version_that_is_wanted_no_more_is_not_tried_again(tmp_path):
    world = World(tmp_path, retries=1000, retry_after=0.05)
    world.add(1)
    world.manager.start(world.settings())
    world.add(2, broken=True)
    until(lambda: world.loads.count("2") > 1)
    shutil.rmtree(world.base / "2")
    until(lambda: world.state(2) == END)
    tried = len(world.loads)
    time.sleep(0.3)
    assert len(world.loads) == tried and world.serving() == 1
    world.manager.stop()


def test_a_model_that_is_taken_out_of_the_settings_is_not_tried_again(tmp_path):
    world = World(tmp_path / "m", retries=1000, retry_after=0.05)
    world.add(1)
    world.manager.start(world.settings())
    broken = tmp_path / "n" / "5"
    broken.mkdir(parents=True)
    (broken / "broken").touch()
    world.manager.declare([*world.settings(), ModelSettings("n", str(broken.parent))])
    until(lambda: world.loads.count("5") > 1)
    world.manager.declare(world.settings())
    time.sleep(0.1)
    tried = len(world.loads)
    time.sleep(0.3)
    assert len(world.loads) == tried and world.serving() == 1
    world.manager.stop()


def test_without_polling_the_disk_is_looked_at_once_and_again_for_new_settings(tmp_path):
    world = World(tmp_path, poll=0)
    world.add(1)
    world.manager.start(world.settings())
    world.add(2)
    time.sleep(0.3)
    assert world.serving() == 1
    world.manager.apply(world.settings())
    until(lambda: world.serving() == 2)
    world.manager.stop()


def test_below_zero_the_disk_is_never_looked_at(tmp_path):
    world = World(tmp_path, poll=-1)
    world.add(1)
    waiting = threading.Thread(target=world.manager.start, args=(world.settings(),))
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive() and not world.loads
    world.manager.stop()
    waiting.join(20)
    assert not waiting.is_alive() and not world.loads


def test_a_base_path_that_is_missing_stops_no_other_model(world, tmp_path):
    world.add(1)
    gone = ModelSettings("gone", str(tmp_path / "gone"))
    starting = threading.Thread(target=world.manager.start, args=([gone, *world.settings()],))
    starting.start()
    until(lambda: world.state(1) == AVAILABLE)
    assert starting.is_alive(), "the start waits for every model"
    world.add(2)
    until(lambda: world.serving() == 2)
    (tmp_path / "gone" / "1").mkdir(parents=True)
    starting.join(20)
    assert not starting.is_alive()
