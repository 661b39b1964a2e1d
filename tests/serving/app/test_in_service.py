"""From a drawing to the next training: a pipeline's own model, its server, `digits app`, a real Chromium."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from bench.browser import draw, problems
from digits import dataset, files
from tests._digits import digits
from tests._pictures import encode
from tests._ports import free_port
from tests.serving._server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
LINE = [(0.5, 0.2 + 0.1 * step) for step in range(7)]


@pytest.fixture(scope="module")
def promoted(built, tmp_path_factory):
    """A project with a version in service: this project's pipeline on synthetic digits."""
    made = built.copy(tmp_path_factory.mktemp("app") / "project")
    for command in (["publish"], ["promote"]):
        done = made.digits(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


@contextlib.contextmanager
def app(project, server, log):
    """`digits app`, in its folder."""
    port = free_port()
    command = [sys.executable, "-m", "digits_cli", "app", f"--port={port}", f"--server={server}"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=project.root, env=project.environment, stderr=stream)
    try:
        while "digits is at" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield f"http://localhost:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def row_of_digits(count=4, seed=21):
    images, _ = digits(count, seed=seed)
    strip = np.full((140, 60 + 110 * count), 244, np.uint8)
    for i, image in enumerate(images):
        large = np.asarray(Image.fromarray(image).resize((84, 84), Image.Resampling.BICUBIC))
        strip[28:112, 30 + 110 * i : 114 + 110 * i] -= (large * 0.85).astype(np.uint8)
    return encode(Image.fromarray(strip))


def test_a_drawing_a_photo_and_a_correction_that_the_next_retraining_takes(browser, promoted, tmp_path):
    pointer = promoted.root / "models" / "serving" / "models.config"
    flags = [f"--model_config_file={pointer}", "--model_config_file_poll_wait_seconds=1"]
    strip = row_of_digits()
    with (
        Server(tmp_path / "server.log", *flags) as server,
        app(promoted, server.target, tmp_path / "app.log") as url,
        browser.new_page() as tab,
    ):
        tab.goto(url)
        expect(tab.locator("#badge-text")).to_contain_text("version 1")
        expect(tab.get_by_role("radio", name="In this browser")).to_be_enabled()
        draw(tab, LINE)
        expect(tab.locator("#by")).to_contain_text("on the server")
        expect(tab.locator("#agreement")).to_contain_text("agrees")

        right = 0  # the person is sure that the line is another digit
        tab.get_by_role("button", name=f"It is a {right}").click()
        expect(tab.locator("#draw-feedback .said")).to_contain_text("Thanks")

        picture = {"name": "strip.png", "mimeType": "image/png", "buffer": strip}
        tab.locator("#file").set_input_files(picture)
        # The pipeline's line reader has seen a few hundred lines, and reads next to nothing.
        expect(tab.locator("#photo-said")).to_contain_text(re.compile("Read: |No digit was read"))
        tab.locator("#badge").click()
        commit = promoted.ok("git", "rev-parse", "--short", "HEAD").strip()
        expect(tab.locator("#provenance-body")).to_contain_text(commit)
        assert problems(tab) == []

    listed = promoted.digits("feedback", "list", "--json")
    (waiting,) = map(json.loads, listed.stdout.splitlines())
    assert (waiting["state"], waiting["label"]) == ("pending", str(right)) and waiting["said"] != str(right)
    (promoted.root / "inbox").mkdir()
    nothing = promoted.digits("feedback", "export", "--inbox", str(promoted.root / "inbox"))
    assert batches_in(promoted.root / "inbox") == [], "nothing unreviewed gets out"
    assert nothing.returncode == 0, nothing.stderr
    assert promoted.digits("feedback", "accept", waiting["id"]).returncode == 0
    assert promoted.digits("feedback", "export", "--inbox", str(promoted.root / "inbox")).returncode == 0
    (batch,) = batches_in(promoted.root / "inbox")
    image = np.load(batch / "rows.npz")["images"][0].astype(int)

    retrained = promoted.digits("schedule", "--once", "--inbox", "inbox")
    assert retrained.returncode == 0, retrained.stdout + retrained.stderr
    assert not batch.exists(), "the inbox has given it away"
    workspace = promoted.root / ".digits" / "workspace"
    batches = files.read_json(workspace / "data" / "validated" / "manifest.json")["batches"]
    assert batch.name in json.dumps(batches)
    prepared = workspace / "data" / "prepared"
    parts = [dataset.load_split(prepared / name) for name in ("train", "heldout", "validation")]
    rows = [(image, label) for part in parts for image, label in zip(part.images, part.labels, strict=True)]
    assert any(label == right and np.abs(other - image).mean() < 2 for other, label in rows)


def batches_in(inbox):
    return [path for path in inbox.iterdir() if not path.name.startswith(".")]
