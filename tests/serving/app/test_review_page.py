"""The page /review in a real browser, on a real gateway with a key: from what waits to a batch."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from playwright.sync_api import expect

from bench.browser import problems
from serving.app.feedback import MONITOR, UNSAID, review
from serving.app.feedback.export import export
from tests.serving.app._gateway import running
from tests.serving.app.feedback._corrections import given, given_line
from tests.serving.app.feedback.conftest import add, opened

KEY = "k" * 20
BEARER = {"Authorization": f"Bearer {KEY}"}
CHOSEN = {"label": UNSAID, "source": MONITOR, "said": "3"}


def on(url, act):
    """Run a coroutine function on the open store, in a thread: this one may have the browser's event loop."""

    async def once():
        async with opened(url) as store:
            return await act(store)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, once()).result()


def test_a_reviewer_names_digits_by_keys_and_what_they_accept_reaches_a_batch(browser, tmp_path):
    url, inbox = f"sqlite:///{tmp_path}/feedback.db", tmp_path / "inbox"
    inbox.mkdir()
    waiting = given(1, **CHOSEN), given(2, **CHOSEN), given(3, label="1"), given_line(4)
    five, none, person, line = on(url, lambda store: add(store, *waiting))
    with running(feedback=url, key=KEY) as gateway, browser.new_page() as tab:
        tab.goto(f"http://localhost:{gateway.port}/review")
        tab.get_by_role("textbox", name="Key").fill(KEY)
        tab.get_by_role("button", name="Use it").click()
        expect(tab.locator("#about")).to_have_text("The model: 3 (75.0%). Version 3, chosen by the monitor.")
        expect(tab.locator("#picture")).to_have_js_property("naturalWidth", 28)
        expect(tab.get_by_role("button", name="Accept (A)")).to_be_hidden()
        tab.keyboard.press("s")
        expect(tab.locator("#said")).to_contain_text("Skipped")
        expect(tab.locator("#left")).to_have_text("4 waiting")
        tab.get_by_role("button", name="No digit").click()
        expect(tab.locator("#about")).to_contain_text("The person: 1. The model: 7")
        tab.keyboard.press("a")
        expect(tab.locator("#ask")).to_have_text("What does this line say?")
        tab.get_by_label("What it says").fill("1.5.x")
        tab.keyboard.press("Enter")
        expect(tab.locator("#said")).to_contain_text("Not taken: text is '1.5.x'")
        tab.get_by_label("What it says").fill("12.50")
        tab.keyboard.press("Enter")
        expect(tab.locator("#said")).to_contain_text("Accepted as 12.50")
        tab.keyboard.press("5")
        expect(tab.locator("#said")).to_contain_text("Nothing waits for a review")
        assert problems(tab) == []

    rows = {row.id: (row.state, row.final) for row in on(url, review.rows)}
    batches = on(url, lambda store: export(store, inbox))
    assert rows[five] == ("accepted", "5") and rows[none][0] == "rejected"
    assert rows[person] == ("accepted", "1") and rows[line] == ("accepted", "12.50")
    digits, lines = (batch.path for batch in batches)
    assert sorted(np.load(digits / "rows.npz")["labels"]) == [1, 5]
    assert (lines / "labels.csv").read_text().endswith(".png,12.50\n")


def test_who_has_no_key_decides_nothing_and_a_decision_stands(tmp_path):
    url = f"sqlite:///{tmp_path}/feedback.db"
    (identity,) = on(url, lambda store: add(store, given(1, **CHOSEN)))
    decision = {"id": identity, "state": "accepted", "label": "5"}

    def post(gateway, headers=BEARER, **changes):
        body = json.dumps({**decision, **changes})
        status, _, tree = gateway.ask("POST", "/api/review", body, "application/json", **headers)
        return status, tree.get("error", {}).get("message", "")

    with running(feedback=url) as open_to_all:
        status, _, tree = open_to_all.ask("GET", "/api/review")
        for found in ((status, tree["error"]["message"]), post(open_to_all, {})):
            assert found[0] == 403 and "--key-file" in found[1]
    with running(feedback=url, key=KEY) as gateway:
        assert gateway.ask("GET", "/api/review")[0] == 401
        _, _, tree = gateway.ask("GET", "/api/review", **BEARER)
        assert (tree["waiting"], tree["next"]["id"], tree["next"]["label"]) == (1, identity, None)
        assert gateway.ask("GET", f"/api/review?after={identity}", **BEARER)[2]["next"] is None
        assert post(gateway, {**BEARER, "Origin": "http://elsewhere.example"})[0] == 403
        for changes, told in (
            ({"label": None}, "nobody has said which digit"),
            ({"label": "x"}, "expected a digit"),
            ({"state": "exported"}, "state"),
            ({"id": "../../etc"}, "id"),
        ):
            status, message = post(gateway, **changes)
            assert status == 400 and told in message
        assert post(gateway)[0] == 200
        status, message = post(gateway, label="6")
        assert status == 409 and "somebody else has decided" in message
