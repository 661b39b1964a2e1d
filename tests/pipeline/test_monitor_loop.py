"""The loop closes by itself, with real processes: gateway, model server, scheduler, Prefect's server, stages.

Traffic turns foggy → alarm → images to label → labels, which the test gives → inbox → retraining → gates →
canary → promoted → clear. And once more with wrong labels: refused, the old version serves, the alarm stands.
"""

import base64
import hashlib
import io
import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from serving.monitoring import record
from serving.monitoring.record import Record
from tests._digits import digits
from tests._ports import free_port
from tests.flows._processes import PATIENCE, wait_for
from tests.pipeline.test_scheduled import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.timeout(2400),
]  # two retrainings: a quarter of an hour

KEY = "k" * 20
MONITOR = {"policy": "retrain", "every_minutes": 1, "label_images": 150, "retrain_from": 150}
PAUSE = 0.05  # seconds between two requests


class Loop(World):
    """A world with a gateway that keeps images, visitors who send digits, and a reviewer."""

    def __init__(self, where):
        super().__init__(where)
        self.grpc, self.app, self.key = free_port(), free_port(), where / "key"
        self.key.write_text(KEY)
        self.changed, self.truth, self.sent = None, {}, 0

    def serve(self):
        self.start("serve", f"--port={self.grpc}", f"--rest-port={self.rest}")
        wait_for(lambda: self.version() == 1, told=self.said)
        gateway = ("--server", f"localhost:{self.grpc}", "--port", str(self.app), "--log-images")
        self.start("app", *gateway, "--key-file", str(self.key), "--rate", "0")
        wait_for(lambda: self.ask("GET", "/api/about"), told=self.said)
        threading.Thread(target=self._visit, daemon=True).start()

    def ask(self, method, path, body=None, kind="application/json"):
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
        url = f"http://127.0.0.1:{self.app}{path}"
        asked = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return {"error": json.loads(error.read()), "status": error.code}
        except OSError:
            return None

    def look(self):
        return record.latest(Record(self.root).latest) or {"alarms": (), "version": None, "rows": 0, "at": 0}

    def name(self, wrong=0):
        """Say of all that waits which digit it is; wrong: how far beside the truth."""
        done = 0
        while (found := self.ask("GET", "/api/review")) and found["next"]:
            item = found["next"]
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(item["image"]))))
            label = (self.truth[hashlib.sha256(pixels.tobytes()).hexdigest()] + wrong) % 10
            decision = {"id": item["id"], "state": "accepted", "label": str(label)}
            assert "error" not in self.ask("POST", "/api/review", json.dumps(decision).encode())
            done += 1
        return done

    def _visit(self):
        seed = 1000
        while not self.ended.is_set():
            seed += 1
            for image, label in zip(*digits(100, seed), strict=True):
                if self.changed is not None and self.sent % 2:
                    image = self.changed(image)
                self.truth[hashlib.sha256(image.tobytes()).hexdigest()] = int(label)
                self.ask("POST", "/api/predict", image.tobytes(), "application/octet-stream")
                self.sent += 1
                if self.ended.wait(PAUSE):
                    return


def fog(image):
    return (image // 3 + 90).astype(np.uint8)


def far_aside(image):
    return np.roll(image, 6, axis=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = Loop(tmp_path_factory.mktemp("loop"))
    made.project.edit({"train": {"steps": 300}, "monitor": MONITOR})
    done = made.project.digits("run")
    assert done.returncode == 0, done.stdout + done.stderr
    made.project.ok("git", "add", "-A")
    made.project.ok("git", "commit", "-qm", "the first run")
    try:
        made.serve()
        made.start("schedule", "--inbox", str(made.inbox), "--port", str(made.port))
        yield made
    finally:
        made.end()


def told(world):
    return lambda: (world.look(), world.runs(), world.said())


def test_fog_is_noticed_labelled_learnt_and_no_alarm_any_more(world):
    wait_for(lambda: world.look()["rows"] > 100, told=told(world))
    assert not world.look()["alarms"], world.look()["alarms"]
    world.changed = fog
    wait_for(lambda: world.look()["alarms"], told=told(world))
    named = 0

    def enough():
        nonlocal named
        named += world.name()
        return named >= MONITOR["retrain_from"]

    wait_for(enough, told=told(world))
    wait_for(lambda: world.version() == 2, 3 * PATIENCE, told=told(world))
    wait_for(lambda: "published version 2, promoted" in str(world.runs()), told=told(world))
    wait_for(lambda: world.look()["version"] == 2 and world.look()["rows"] > 300, told=told(world))
    time.sleep(70)  # one more look
    assert world.look()["version"] == 2 and not world.look()["alarms"], world.look()["alarms"]


def test_wrong_labels_are_refused_the_old_version_serves_and_the_alarm_stands(world):
    world.changed = far_aside
    wait_for(lambda: world.look()["alarms"], told=told(world))
    named = 0

    def enough():
        nonlocal named
        named += world.name(wrong=1)
        return named >= MONITOR["retrain_from"]

    wait_for(enough, told=told(world))
    refused = world.inbox / "quarantine"
    wait_for(lambda: list(refused.glob("feedback-*/reason.txt")), 3 * PATIENCE, told=told(world))
    at = time.time()
    wait_for(lambda: world.look()["at"] > at and world.look()["alarms"], told=told(world))
    assert world.version() == 2 and world.look()["version"] == 2
