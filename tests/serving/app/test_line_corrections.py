"""A line of a photo, corrected on the page: into the store, through a review, into a batch."""

import asyncio
import csv
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from bench.browser import problems
from digits_client import DigitClient
from digits_client.results import Answer
from serving.app.feedback import review
from serving.app.feedback.export import export
from tests._pictures import encode
from tests.serving.app._gateway import running
from tests.serving.app.feedback.conftest import opened
from tests.serving.client import _fake
from tests.serving.client.reading import _sheet


@pytest.fixture
def seen(monkeypatch):
    """The lines that the model was asked about; of three digits it reads something, of two nothing."""
    asked = []

    def predict_lines(client, lines):
        asked.extend(lines)
        version = client.predict(np.zeros((28, 28), np.uint8)).version
        nothing = {"text": "", "written": "", "characters": ()}
        said = (
            dataclasses.replace(each, **nothing if len(each.text) < 3 else {}) for each in _sheet.ask(lines)
        )
        return Answer(tuple(said), version)

    monkeypatch.setattr(DigitClient, "predict_lines", predict_lines, raising=False)
    return asked


async def reviewed(url, inbox):
    """What the store holds, and the batch of the first, accepted as 3,58, and the third."""
    async with opened(url) as store:
        rows = await review.rows(store)
        await review.decide(store, rows[0].id, "accepted", reviewer="ann", label="3,58")
        await review.decide(store, rows[1].id, "rejected", reviewer="ann")
        await review.decide(store, rows[2].id, "accepted", reviewer="ann")
        (batch,) = await export(store, inbox)
    return rows, batch.path


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


def test_the_line_that_the_model_saw_and_the_persons_text_reach_a_batch(browser, seen, tmp_path):
    url, inbox = f"sqlite:///{tmp_path}/feedback.db", tmp_path / "inbox"
    inbox.mkdir()
    upper, lower = _sheet.sheet("358", size=(180, 560))[0], _sheet.sheet("46", size=(180, 560), seed=3)[0]
    picture = encode(Image.fromarray(np.vstack([upper, lower])))
    with (
        _fake.serving() as fake,
        running(server=fake.grpc, feedback=url) as gateway,
        browser.new_page() as tab,
    ):
        tab.goto(f"http://localhost:{gateway.port}/")
        expect(tab.locator("#badge-text")).to_contain_text("version 3")
        tab.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": picture})
        field = tab.get_by_role("button", name=": correct the line").first
        field.focus()
        read = field.inner_text()
        press(tab, "Enter")
        text = tab.get_by_label("Wrong? Tell us what it says")
        expect(text).to_be_focused()
        expect(text).to_have_value(read)
        expect(tab.locator("#line-image")).to_have_js_property("naturalHeight", 32)
        tab.keyboard.type("3.5.x")
        press(tab, "Enter")
        expect(tab.locator("#line-said")).to_contain_text("Not taken: text is '3.5.x', expected digits")
        press(tab, "Backspace", "8", "Enter")
        expect(tab.locator("#line-said")).to_contain_text("Thanks: it says 3.5.8")
        press(tab, "Control+a", "Delete", "Tab", "Space")
        expect(tab.locator("#line-said")).to_contain_text("Thanks: there are no digits")
        tab.get_by_role("button", name="Not read, no digits: say what is written here").click()
        expect(text).to_have_value("")
        tab.keyboard.type("46")
        press(tab, "Enter")
        expect(tab.locator("#line-said")).to_contain_text("Thanks: it says 46")
        tab.locator(".box").first.click()
        expect(tab.locator("#line"), "a digit takes its place").to_be_hidden()
        assert problems(tab) == []

    with ThreadPoolExecutor(1) as thread:  # this one has the browser's event loop
        rows, batch = thread.submit(asyncio.run, reviewed(url, inbox)).result()
    assert [(row.kind, row.label, row.said) for row in rows] == [
        *(("line", label, read) for label in ("3.5.8", "")),
        ("line", "46", ""),
    ]
    assert {(row.version, row.source, row.mode) for row in rows} == {(3, "photo", "server")}
    header, *written = csv.reader((batch / "labels.csv").read_text().splitlines())
    assert header == ["file", "text"] and sorted(text for _, text in written) == ["3,58", "46"]
    for name, _ in written:
        pixels = cv2.imread(str(batch / name), cv2.IMREAD_UNCHANGED)
        assert any(np.array_equal(pixels, line) for line in seen)
