"""A candidate is tried on two real servers while ordinary clients ask, and takes over, or goes unseen."""

import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import pytest

from digits import wire
from digits.runtime.errors import DataError, StoreError
from digits_client import DigitClient, ServingError
from flows.rollout import canary, requests
from flows.rollout import replicas as servers
from flows.rollout.analysis import Trial
from flows.rollout.replicas import Server
from serving.store import promote, publish
from serving.store.store import Store
from tests._project import ROOT
from tests.serving import _server
from tests.serving._tiny import IMAGES, export

pytestmark = pytest.mark.slow  # two real servers, and minutes of waiting for them to follow

AT = "2030-01-31T12:00:00Z"


def slowed(softmax):
    """As softmax, after some ten milliseconds of work that nothing can leave out."""
    import tensorflow as tf

    def call(scores):
        start = tf.ones([300, 300]) / 300 + tf.minimum(tf.reduce_sum(tf.abs(scores)), 0)
        _, worked = tf.while_loop(lambda i, _: i < 40, lambda i, m: (i + 1, m @ start), [0, start])
        return softmax(scores) + tf.minimum(tf.reduce_sum(worked), 0)

    return call


class World:
    """A store, two servers that follow it, and exports: good, wrong, broken and slow."""

    def __init__(self, root):
        import tensorflow as tf

        self.store, self._root = Store(root / "serving"), root
        export(root / "good")
        export(root / "old", lines=False)
        export(root / "wrong", shift=3)
        export(root / "broken", broken=True)
        with mock.patch.object(tf.nn, "softmax", slowed(tf.nn.softmax)):
            export(root / "slow")
        promote.promote(self.store, self.publish("good"), None)
        flags = (f"--model_config_file={self.store.pointer}", "--model_config_file_poll_wait_seconds=1")
        self.processes = [_server.Server(root / f"log-{i}", *flags, ready=False) for i in range(2)]
        self.replicas = [Server(each.target, f"127.0.0.1:{each.rest_port}") for each in self.processes]

    def publish(self, kind):
        return publish.publish(self.store, self._root / kind, {}, force=True)

    @property
    def stable(self):
        return self.store.current().stable

    def run(self, number, **options):
        """Try a version and settle it."""
        champion = self.stable
        trial = canary.try_live(self.store, number, self.replicas, at=AT, **options)
        return trial, canary.settle(self.store, number, trial, champion, AT, servers=self.replicas)

    def unchanged(self, stable):
        """Whether the servers and the pointer are as without a trial."""
        servers.wait_for(self.replicas, wire.MODEL, stable, 60)
        servers.wait_for(self.replicas, wire.CANARY, None, 60)
        pointer = self.store.current()
        return (pointer.stable, pointer.canary) == (stable, None)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    try:
        for process in made.processes:
            process.wait()
        yield made
    finally:
        for process in made.processes:
            process.stop(signal.SIGKILL)


class Clients:
    """One ordinary client of each replica, asking without pause or retries; notes what it gets."""

    def __init__(self, replicas):
        self.failures, self.seen, self._stop = [], [], threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(each,)) for each in replicas]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, server):
        with DigitClient(server.grpc, retries=0) as client:
            while not self._stop.is_set():
                try:
                    self.seen.append(client.predict(IMAGES[:2]).version)
                except ServingError as error:
                    self.failures.append(str(error))
                time.sleep(0.005)


@pytest.fixture
def clients(world):
    with Clients(world.replicas) as asking:
        yield asking


def test_a_good_candidate_takes_over_on_every_replica_without_a_failed_request(world, clients):
    before, number = world.stable, world.publish("good")
    trial = canary.try_live(world.store, number, world.replicas, at=AT)
    assert trial.passed, trial.reasons
    assert world.store.current().canary == number and world.stable == before
    assert clients.seen and set(clients.seen) == {before}, "no ordinary client sees a candidate"
    assert len(trial.golden) == 40
    asked = {name.partition(" on ")[0] for name in trial.figures}
    assert asked == {"golden batches", "golden images", "golden pictures", "golden lines"}
    settled = canary.settle(world.store, number, trial, before, AT, servers=world.replicas)
    assert settled == canary.Settlement(canary.PROMOTED)
    assert world.unchanged(number)
    watched = canary.watch(world.store, number, world.replicas, 1, golden=trial.golden)
    assert watched.passed and len(watched.figures) == 4  # images and pictures, and lines, on each server
    assert not clients.failures
    assert set(clients.seen) == {before, number}


def test_a_version_of_before_there_were_lines_is_replaced_and_gone_back_to(world):
    before, old = world.stable, world.publish("old")
    promote.promote(world.store, old, before)
    servers.wait_for(world.replicas, wire.MODEL, old, 60)
    trial, settled = world.run(world.publish("good"))
    assert settled.outcome == canary.PROMOTED, settled.reasons
    assert not [name for name in trial.figures if name.startswith("golden lines")]
    promote.rollback(world.store)
    assert world.unchanged(old)
    promote.promote(world.store, before, old)
    assert world.unchanged(before)


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        ("wrong", ["32 of 32 digits in golden images", "0.0% alike"]),
        ("broken", ["can't load version", "is not compatible with expected shape"]),
        ("slow", ["golden images", "ms allowed"]),
    ],
)
def test_a_candidate_that_is_not_good_is_withdrawn_and_remembered_and_no_client_sees_it(
    world, clients, kind, reasons
):
    before, number = world.stable, world.publish(kind)
    started = time.monotonic()
    trial, settled = world.run(number)
    assert not trial.passed and settled.outcome == canary.WITHDRAWN
    assert any(all(part in reason for part in reasons) for reason in trial.reasons), trial.reasons
    assert kind != "broken" or time.monotonic() - started < canary.TIMEOUT / 2, "it is not waited for"
    assert kind != "slow" or not any("alike" in reason for reason in trial.reasons)
    assert world.store.history().last_refusal(number, before).reasons == trial.reasons
    assert world.unchanged(before)
    assert not clients.failures and set(clients.seen) == {before}


def test_a_candidate_that_is_slow_for_a_moment_is_looked_at_again(world, monkeypatch):
    looks = [Trial(False, ("it takes long",), slow=True), Trial(True)]
    monkeypatch.setattr(canary, "judge", lambda *_: looks.pop(0))
    assert canary.try_live(world.store, world.publish("good"), world.replicas[:1]).passed and not looks
    canary.recover(world.store, world.replicas)


def test_logged_requests_are_asked_too_and_those_that_nobody_can_read_are_left_out(world, tmp_path):
    from PIL import Image

    before, number = world.stable, world.publish("good")
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    samples = [IMAGES[:5], tmp_path / "a.png", tmp_path / "b.png", IMAGES[5:6]]
    trial, settled = world.run(number, samples=samples)
    assert settled.outcome == canary.PROMOTED
    counts = [found["requests"] for name, found in trial.figures.items() if name.startswith("logged")]
    assert counts == [7, 7]
    with pytest.raises(DataError, match=r"c\.png can't be read"):
        canary.try_live(world.store, before, world.replicas, samples=[tmp_path / "c.png"])
    assert world.unchanged(number)


def test_a_replica_that_is_down_ends_the_trial_by_name_and_is_not_held_against_the_candidate(
    world, monkeypatch
):
    monkeypatch.setattr(canary, "SETTLE_TIME", 0.5)
    before, number = world.stable, world.publish("good")
    down = Server(f"127.0.0.1:{_server.free_port()}")
    trial = canary.try_live(world.store, number, [*world.replicas, down])
    assert not trial.passed and not trial.at_fault
    assert f"{down} does not answer" in trial.reasons[0]
    assert canary.settle(world.store, number, trial, before).outcome == canary.WITHDRAWN
    assert world.store.history().last_refusal(number, before) is None
    assert world.unchanged(before)


def test_a_replica_that_does_not_take_up_the_promotion_has_it_rolled_back(world):
    before, number = world.stable, world.publish("good")
    trial = canary.try_live(world.store, number, world.replicas)
    stuck = world.processes[1].process
    stuck.send_signal(signal.SIGSTOP)
    try:
        settled = canary.settle(world.store, number, trial, before, AT, servers=world.replicas, timeout=3)
    finally:
        stuck.send_signal(signal.SIGCONT)
    assert settled.outcome == canary.ROLLED_BACK
    assert f"{world.replicas[1]} does not answer" in settled.reasons[0]
    assert str(world.replicas[0]) not in settled.reasons[0]
    assert world.store.history().last_refusal(number, before) is None
    assert world.unchanged(before)


def test_a_promoted_version_that_answers_otherwise_than_on_trial_is_rolled_back(world, clients):
    before, number = world.stable, world.publish("wrong")
    good = canary.try_live(world.store, world.publish("good"), world.replicas).golden
    promote.promote(world.store, number, before)
    servers.wait_for(world.replicas, wire.MODEL, number, 60)
    trial = canary.watch(world.store, number, world.replicas, 5, golden=good, at=AT)
    assert not trial.passed
    assert "of 40 digits in golden batches" in trial.reasons[0] and "itself on trial" in trial.reasons[0]
    assert world.store.history().last_refusal(number, before)
    assert world.unchanged(before)
    assert not clients.failures
    with pytest.raises(StoreError, match=f"version {number} is no longer in service"):
        canary.watch(world.store, number, world.replicas, 1)


def test_a_trial_that_is_interrupted_or_ended_by_someone_is_nobodys_fault(world, monkeypatch):
    before, number = world.stable, world.publish("good")

    def cancelled():
        if world.store.current().canary:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        canary.try_live(world.store, number, world.replicas, alive=cancelled)
    assert world.unchanged(before)
    ask = requests.ask

    def ended(*given):
        canary.withdraw(world.store, number, world.replicas)
        return ask(*given)

    monkeypatch.setattr(requests, "ask", ended)
    trial = canary.try_live(world.store, number, world.replicas)
    assert not trial.passed and not trial.at_fault and "ended by another command" in trial.reasons[0]
    assert canary.settle(world.store, number, trial, before).outcome == canary.WITHDRAWN
    assert world.unchanged(before)


def test_a_champion_that_changed_meanwhile_wins(world):
    before, number, other = world.stable, world.publish("good"), world.publish("good")
    trial = canary.try_live(world.store, number, world.replicas)
    promote.promote(world.store, other, before)
    settled = canary.settle(world.store, number, trial, before, servers=world.replicas)
    assert settled.outcome == canary.WITHDRAWN and "ended by another command" in settled.reasons[0]
    promote.promote(world.store, number, other, canary=True)
    settled = canary.settle(world.store, number, trial, before, servers=world.replicas)
    assert settled.outcome == canary.WITHDRAWN
    assert f"judged against version {before}, but now version {other} is in service" in settled.reasons[0]
    assert world.unchanged(other)


def test_without_a_server_a_version_is_promoted_untried(world, tmp_path):
    store = Store(tmp_path / "serving")
    for champion, number in ((None, 1), (1, 2)):
        publish.publish(store, world._root / "good", {}, force=True)
        trial = canary.try_live(store, number, ())
        assert trial == Trial(True)
        assert canary.settle(store, number, trial, champion).outcome == canary.PROMOTED
    assert canary.watch(store, 2, (), 60).passed
    failed = Trial(False, ("it errs",))
    assert canary.roll_back(store, 2, failed, AT, (), 1).outcome == canary.ROLLED_BACK
    kept = canary.roll_back(store, 1, failed, AT, (), 1)
    assert kept.outcome == canary.PROMOTED and "it was not rolled back" in kept.reasons[1]


KILLED = """
import os, signal, sys
from pathlib import Path
from flows.rollout import canary, requests, replicas as servers
from serving.store import promote
from serving.store.store import Store

root, number, addresses, strike = sys.argv[1:]
calls = 0

def struck(function):
    def call(*given, **options):
        global calls
        if calls == int(strike):
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return function(*given, **options)
    return call

for module, name in (
    *((promote, name) for name in ("promote", "withdraw", "refuse", "rollback")),
    *((servers, "wait_for"), (requests, "ask")),
):
    setattr(module, name, struck(getattr(module, name)))
assert "tensorflow" not in sys.modules
store, replicas = Store(Path(root)), servers.parse(addresses)
champion = store.current().stable
trial = canary.try_live(store, int(number), replicas)
print(canary.settle(store, int(number), trial, champion, servers=replicas).outcome)
assert "tensorflow" not in sys.modules, "a flow must not wait for it"
"""


def killed(world, number, strike):
    """Try and settle a version in a process that is killed before its strike-th step; what it printed."""
    addresses = ",".join(f"{each.grpc}/{each.rest.rpartition(':')[2]}" for each in world.replicas)
    command = [sys.executable, "-c", KILLED, str(world.store.root), str(number), addresses, str(strike)]
    done = subprocess.run(
        command, env=_server.environment(), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("kind", "outcome"), [("good", canary.PROMOTED), ("wrong", canary.WITHDRAWN)])
def test_a_kill_between_any_two_steps_fails_no_request_and_the_next_run_goes_through(
    world, clients, kind, outcome
):
    for strike in range(30):
        before, number = world.stable, world.publish(kind)
        seen = len(clients.seen)
        said = killed(world, number, strike)
        assert world.stable in ((before, number) if kind == "good" else (before,))
        assert set(clients.seen[seen:]) <= {before, number if kind == "good" else before}
        assert not clients.failures
        servers.wait_for(world.replicas, wire.MODEL, world.stable, 60)
        if world.store.current().canary and strike % 2:  # else the next run ends the trial
            assert canary.recover(world.store, world.replicas) == number
            assert canary.recover(world.store, world.replicas) is None
        if said:
            assert said == outcome and strike >= 9
            break
    assert said, "it never came to an end"
    assert world.unchanged(number if kind == "good" else before)
