"""What servers say of themselves; a stand-in tells states over REST that real ones pass through too fast."""

import json

import pytest

from digits import wire
from digits.runtime.errors import ParamsError, Unavailable
from flows.rollout import replicas
from flows.rollout.replicas import LoadFailed, NotUpdated, Server, State
from serving.store import promote, publish
from serving.store.store import Store
from tests._loopback import serving
from tests.serving._exports import export

NO_SERVER = Server("127.0.0.1:9")


class StandIn:
    """Tells of each model the states that a test puts into `says`: a list is told one after another."""

    def __init__(self):
        self.says, self.asked, self.server = {}, 0, None

    def answer(self, path):
        self.asked += 1
        said = self.says.get(path.rpartition("/")[2], {})
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        listed = [
            {"version": str(number), "state": name, "status": {"error_code": "OK", "error_message": error}}
            for number, (name, error) in said.items()
        ]
        tree = {"model_version_status": listed} if listed else {"error": "Could not find any versions"}
        return 200 if listed else 404, json.dumps(tree).encode()


def stands_in():
    made = StandIn()
    with serving(made.answer) as here:
        made.server = Server("", here.url.removeprefix("http://").rstrip("/"))
        yield made


stand_in, other = (pytest.fixture(stands_in, name=name) for name in ("stand_in", "other"))


UP, GOES, LOADS, ENDED = ("AVAILABLE", ""), ("UNLOADING", ""), ("LOADING", ""), ("END", "")
FAILED = ("END", "no variables\n\there")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [Server("a:8500", "a:8501")]),
        ("a:1", [Server("a:1")]),
        (" a:1/2 , 10.0.0.7 ", [Server("a:1", "a:2"), Server("10.0.0.7:8500", "10.0.0.7:8501")]),
        ("[::1]:1/2,[::1]", [Server("[::1]:1", "[::1]:2"), Server("[::1]:8500", "[::1]:8501")]),
        ("a:/2", [Server("", "a:2")]),
        ("", []),
    ],
)
def test_addresses_are_read(text, expected):
    assert list(replicas.parse(text)) == expected


@pytest.mark.parametrize(
    "text", ["a:b", "a:0", "a:70000", "a/8501", ":8500", "a:/", "a:1/2/3", "::1", "a b:1", "a,a"]
)
def test_what_is_no_address_is_refused_with_the_form_that_is_expected(text):
    with pytest.raises(ParamsError, match="expected HOST"):
        replicas.parse(text)


def test_states_are_told_by_version_with_the_error_of_a_failed_load(stand_in):
    stand_in.says[wire.MODEL] = {2: FAILED, 1: UP}
    told = replicas.states(stand_in.server, wire.MODEL)
    assert told == {1: State("AVAILABLE"), 2: State("END", "no variables here")}
    assert replicas.states(stand_in.server, wire.CANARY) == {}
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not report its state"):
        replicas.states(NO_SERVER, wire.MODEL)


def test_the_wait_ends_when_every_replica_serves_the_version_and_nothing_else(stand_in, other):
    stand_in.says[wire.MODEL] = [{1: UP}, {2: LOADS, 1: UP}, {2: UP, 1: GOES}]
    other.says[wire.MODEL] = [{2: UP, 1: UP}, {2: UP, 1: UP}, {2: UP, 1: UP}, {2: UP, 1: ENDED}]
    replicas.wait_for([stand_in.server, other.server], wire.MODEL, 2, 30)
    assert (stand_in.asked, other.asked) == (3, 4)


def test_a_failed_load_ends_the_wait_at_once_with_the_servers_own_words_but_for_an_earlier_trials(stand_in):
    stand_in.says[wire.CANARY] = [{2: LOADS}, {2: FAILED}]
    with pytest.raises(LoadFailed, match=f"{stand_in.server} can't load version 2: no variables here"):
        replicas.wait_for([stand_in.server], wire.CANARY, 2, 30)
    stand_in.says[wire.CANARY] = [{2: FAILED}, {2: FAILED}, {2: LOADS}, {2: UP}]
    earlier = replicas.failures([stand_in.server, NO_SERVER], wire.CANARY, 2)
    assert earlier == {stand_in.server: "no variables here"}
    replicas.wait_for([stand_in.server], wire.CANARY, 2, 30, earlier=earlier)


def test_replicas_that_do_not_follow_are_named_each_with_what_it_does(stand_in, other):
    stand_in.says[wire.MODEL] = {2: UP}
    other.says[wire.MODEL] = {1: UP}
    with pytest.raises(NotUpdated) as caught:
        replicas.wait_for([stand_in.server, other.server, NO_SERVER], wire.MODEL, 2, 0.3)
    assert str(stand_in.server) not in str(caught.value)
    assert f"{other.server} serves version 1 of digits" in str(caught.value)
    assert "127.0.0.1:9 does not answer" in str(caught.value)
    assert not caught.value.loading


def test_a_model_is_gone_when_no_replica_has_a_version_at_work(stand_in, other):
    stand_in.says[wire.CANARY] = [{2: UP}, {2: GOES}, {2: ENDED}]
    other.says[wire.CANARY] = [{2: LOADS}, {}]
    replicas.wait_for([stand_in.server, other.server, NO_SERVER], wire.CANARY, None, 30)
    assert (stand_in.asked, other.asked) == (3, 2)


@pytest.mark.parametrize(
    ("version", "states", "said"),
    [
        (2, {2: LOADS}, "still has version 2 LOADING"),
        (None, {2: UP}, "serves digits_canary version 2, expected it to serve no"),
    ],
)
def test_what_does_not_come_or_go_in_time_is_told_and_loading_is_told_apart(stand_in, version, states, said):
    stand_in.says[wire.CANARY] = states
    with pytest.raises(NotUpdated, match=said) as caught:
        replicas.wait_for([stand_in.server], wire.CANARY, version, 0.2)
    assert caught.value.loading == (version == 2)


def test_a_server_here_counts_when_it_serves_the_stores_stable_version(stand_in, tmp_path):
    store = Store(tmp_path / "serving")
    assert replicas.find_running(store, stand_in.server) == ()
    promote.promote(store, publish.publish(store, export(tmp_path / "exported"), {}), None)
    assert replicas.find_running(store, NO_SERVER) == ()
    stand_in.says[wire.MODEL] = {7: UP}
    assert replicas.find_running(store, stand_in.server) == (), "it follows another store"
    stand_in.says[wire.MODEL] = {1: UP}
    assert replicas.find_running(store, stand_in.server) == (stand_in.server,)
