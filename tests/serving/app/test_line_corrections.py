"""A line of a photo, corrected on the page: what the model saw of it and what the person says are kept."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from bench.browser import problems
from serving.app.feedback import corrections, review
from tests._pictures import encode
from tests.serving.app._gateway import running
from tests.serving.app.feedback.conftest import opened
from tests.serving.client import _fake
from tests.serving.client.reading import _sheet


async def kept(url):
    async with opened(url) as store:
        return await review.rows(store)


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


def test_the_line_that_the_model_saw_and_the_persons_text_are_kept(browser, seen, tmp_path):
    url, seen.shortest = f"sqlite:///{tmp_path}/feedback.db", 3
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
        rows = thread.submit(asyncio.run, kept(url)).result()
    assert [(row.kind, row.label, row.said) for row in rows] == [
        *(("line", label, read) for label in ("3.5.8", "")),
        ("line", "46", ""),
    ]
    assert {(row.version, row.source, row.mode) for row in rows} == {(3, "photo", "server")}
    for row in rows:
        pixels = corrections.levels("line", row.image)
        assert any(np.array_equal(pixels, line) for line in seen.lines)
