"""Scheduled retraining as a whole: real stages, a real Prefect server, a real model server under load."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from flows.scheduling import server
from tests._digits import digits
from tests._ports import free_port
from tests._project import project as tiny
from tests.flows._processes import PATIENCE, wait_for
from tests.flows._projects import state

pytestmark = pytest.mark.slow


class World:
    """A project whose version 1 serves, asked all the time, and its scheduler with an inbox."""

    def __init__(self, where):
        self.project = tiny(where)
        self.root, self.inbox = self.project.root, where / "inbox"
        self.inbox.mkdir()
        self.rest, self.port = free_port(), free_port()
        self.log = where / "log"
        self.children, self.seen, self.failures = [], [], []
        self.ended = threading.Event()

    def start(self, *command):
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "digits_cli", *command],
                cwd=self.root,
                env=self.project.environment | {"OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def serve(self):
        self.start("serve", f"--port={free_port()}", f"--rest-port={self.rest}")
        wait_for(lambda: self.version() == 1, told=self.said)
        threading.Thread(target=self._ask, daemon=True).start()

    def version(self):
        url = f"http://127.0.0.1:{self.rest}/v1/models/digits"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.loads(answer.read())["model_version_status"]
        except OSError:
            return None
        return max((int(v["version"]) for v in found if v["state"] == "AVAILABLE"), default=None)

    def runs(self):
        """(state, message) of the flow runs that have ended, oldest first."""
        url, body = f"http://127.0.0.1:{self.port}/api", {"limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
        try:
            with server.session(self.root, url) as session:
                found = session.post(f"{url}/flow_runs/filter", json=body, timeout=10).json()
        except OSError:
            return []
        final = ("COMPLETED", "FAILED", "CRASHED")
        return [(r["state_name"], r["state"]["message"]) for r in found if r["state_type"] in final]

    def drop(self, name, images, labels):
        np.savez(self.inbox / f"{name}.part", images=images, labels=labels)
        folder = self.inbox / name
        folder.mkdir()
        (self.inbox / f"{name}.part.npz").rename(folder / "rows.npz")
        (folder / ".complete").touch()

    def said(self):
        return self.log.read_text()[-4000:]

    def _ask(self):
        image = digits(1)[0][0].tolist()
        body = json.dumps({"instances": [image]}).encode()
        address = f"http://127.0.0.1:{self.rest}/v1/models/digits:predict"
        while not self.ended.is_set():
            try:
                with urllib.request.urlopen(urllib.request.Request(address, body), timeout=30) as answer:
                    self.seen.append(json.loads(answer.read())["predictions"][0])
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))
            time.sleep(0.05)

    def end(self):
        self.ended.set()
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("scheduled"))
    made.project.edit({"train": {"steps": 300}})  # enough for every test image: a tie is no worse
    done = made.project.digits("run")
    assert done.returncode == 0, done.stdout + done.stderr
    made.project.ok("git", "add", "-A")
    made.project.ok("git", "commit", "-qm", "the first run")
    try:
        made.serve()
        yield made
    finally:
        made.end()


def tags(world):
    return world.project.ok("git", "tag", "--list", "digits@v*").split()


def test_a_good_batch_goes_live_under_load_and_a_poisoned_one_changes_nothing_but_the_report(world):
    before = state(world.root) | {"tree": None}
    options = ("--interval", "15", "--inbox", str(world.inbox), "--port", str(world.port))
    scheduler = world.start("schedule", *options)
    wait_for(lambda: ("Nothing new", "version 1 is in service") in world.runs(), told=world.said)

    world.drop("monday", *digits(150, seed=11))
    wait_for(lambda: world.version() == 2, 2 * PATIENCE, told=lambda: (world.runs(), world.said()))
    wait_for(lambda: "published version 2, promoted" in str(world.runs()), told=world.runs)
    assert tags(world) == ["digits@v2.0.0"]
    assert list(world.inbox.glob("[!.]*")) == []

    images, labels = digits(150, seed=12)
    world.drop("tuesday", images, (labels + 1) % 10)
    wait_for(lambda: "batch tuesday was refused" in str(world.runs()), 2 * PATIENCE, told=world.runs)
    state_name, message = next(run for run in world.runs() if "batch tuesday was refused" in run[1])
    assert state_name == "Nothing new" and "version 2 is in service" in message
    reason = (world.inbox / "quarantine" / "tuesday" / "reason.txt").read_text()
    assert reason.strip() in message
    assert world.version() == 2 and tags(world) == ["digits@v2.0.0"]

    explained = json.loads(world.project.digits("explain", "2", "--json").stdout)
    commit = explained["provenance"]["published"]["commit"]
    assert commit == world.project.ok("git", "rev-parse", "digits@v2.0.0^{commit}").strip()
    assert "monday-" in world.project.ok("git", "ls-tree", "-r", "--name-only", commit, "data/incoming")
    assert state(world.root) | {"tree": None} == before
    assert not world.failures and len(world.seen) > 100
    scheduler.send_signal(signal.SIGTERM)
    assert scheduler.wait(60) == 0, world.said()
