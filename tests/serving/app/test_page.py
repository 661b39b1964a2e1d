"""The page in a real headless Chromium, against a gateway of a few lines in every mood."""

import base64
import json
import mimetypes
import re
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from playwright.sync_api import expect

from bench.browser import STATIC, draw, on_canvas, problems
from digits import wire
from tests._digits import digits
from tests._pictures import encode, page, png_claiming
from tests._release import lines
from tests.serving.app._gateway import document
from tests.serving.app._stand_in_gateway import AT, CARD, MEASURED, Gateway, Refused

EVIL = "<img src=x onerror=document.title='hacked'>.png"
RULES = [
    {"rule": "accuracy", "passed": True, "reason": "99.62% right, 98.00% wanted", "threshold": 0.98},
    {"rule": "every_digit", "passed": False, "reason": EVIL, "threshold": 0.95},
]
METRICS = {
    **MEASURED,
    "training": {"parameters": 116266},
    "corruptions": {"blur": 0.9907, "hole": 0.9597},
    "abstention": {"coverage": 0.9632, "precision": 0.9996},
}
MADE = {"dataset": "mnist", "sample": False, "threshold": 0.9927, "libraries": {"tensorflow": "2.21.0"}}
RECORD = MADE | {
    "metrics": METRICS,
    "verdict": {"passed": False, "rules": RULES},
    "data": {"splits": {"test": {"n": 10000, "images_sha256": "fbf9701b11f5659e" * 4}}},
    "recipe": {"profile": "fast", "augmentation": {"rotation": 10.0}},
    "published": {"at": AT, "commit": "4d4a05ea", "dirty": True},
}
LINE = [(0.5, 0.2 + 0.1 * step) for step in range(7)]
OFFLINE = {"service_workers": "allow", "local": True}  # costs a second, for the page is loaded twice
PHONE = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}
BAR = [(0.2 + 0.1 * step, 0.5) for step in range(7)]


@pytest.fixture(scope="module")
def strip():
    """A picture of three digits, and what the server reads in it."""
    images, labels = digits(3, seed=5)
    picture, found = Image.new("L", (400, 160), 240), []
    for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        picture.paste(Image.fromarray(255 - image).resize((100, 100)), (20 + 120 * i, 30))
        others = [[(label + 1) % 10, 0.3], [(label + 2) % 10, 0.01]]
        sure = {"confidence": 0.61 if i == 1 else 0.999, "accepted": i != 1}
        found.append({"box": [20 + 120 * i, 30, 100, 100], "digit": label, **sure, "alternatives": others})
    text = "".join(map(str, labels))
    field = {"kind": "number", "text": text, "confidence": 0.6, "accepted": False, "box": [20, 30, 340, 100]}
    line = {"box": field["box"], "text": text, "fields": [{**field, "digits": found, "separators": []}]}
    unread = [{"box": [370, 10, 20, 140], "reason": "no digits"}]
    tree = {"width": 400, "height": 160, "text": text, "lines": [line], "unread": unread, "version": 3}
    return encode(picture), tree


@pytest.fixture(scope="module")
def running(network, strip):
    ask, alone = network.served[wire.PIXELS], threading.Lock()

    def predict(body):
        free = alone.acquire(blocking=False)
        made.crowded |= not free
        shares = ask(tf.constant(np.frombuffer(body, np.uint8).reshape(1, 28, 28)))[wire.PROBABILITIES]
        if free:
            alone.release()
        return shares.numpy()[0]

    made = Gateway(predict, network.edge, strip[1], RECORD)
    predict(bytes(784))  # traced before anyone waits for it
    made.start()
    yield made
    made.stop()


@pytest.fixture
def gateway(running):
    running.reset()
    yield running
    assert not running.crowded, "one question at a time"


@pytest.fixture
def opened(browser, gateway):
    """A function that opens the page; in the end nothing may have gone wrong in it."""
    tabs = []

    def open_page(path="", local=False, **window):
        gateway.offers = local  # loading the model takes the browser half a second
        usual = {"viewport": {"width": 1200, "height": 900}, "service_workers": "block"}
        tab = browser.new_page(**usual | window)
        tabs.append(tab)
        tab.goto(gateway.url + path)
        if path == "" and gateway.key is None:
            says(tab, "version", "#badge-text")
        return tab

    yield open_page
    found = [problem for tab in tabs for problem in problems(tab)]
    for tab in tabs:
        tab.close()
    assert found == []


def touch(tab, shape):
    """Draw with a finger, with which Playwright itself can only tap."""
    session = tab.context.new_cdp_session(tab)
    for i, (x, y) in enumerate(on_canvas(tab, shape)):
        kind = "touchMove" if i else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


def says(tab, words, selector="#photo-said"):
    expect(tab.locator(selector)).to_contain_text(words)


def answers(tab, by):
    """The digit on the page, once it is the answer to the drawing as it is."""
    says(tab, by, "#by")
    return tab.locator("#digit").inner_text()


def in_browser(tab):
    return tab.get_by_role("radio", name="In this browser")


def act(tab, name):
    tab.get_by_role("button", name=name).click()


def drawn(tab, gateway, shape=None):
    """Draw; the bytes that were asked last, once they are answered and nobody asks any more."""
    draw(tab, shape or LINE)
    answers(tab, "on the server")
    return settled(tab, gateway)


def upright(image):
    """Whether it is an upright line, white on black, in the middle."""
    image = np.frombuffer(image, np.uint8).reshape(28, 28)
    return image[4:24, 12:16].sum() > 0.9 * image.sum() > 0


def upload(tab, name, content):
    kind = mimetypes.guess_type(name)[0] or ""
    tab.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def settled(tab, gateway):
    """The bytes of the last question, once nobody asks any more."""
    count = -1
    while count != len(gateway.asked["predict"]):
        count = len(gateway.asked["predict"])
        tab.wait_for_timeout(150)
    return gateway.asked["predict"][-1]


def test_a_drawing_is_asked_as_784_bytes_while_it_grows_and_both_answers_are_shown(opened, gateway):
    tab = opened(local=True)
    expect(in_browser(tab)).to_be_enabled()
    last = drawn(tab, gateway)
    assert upright(last)
    shares = gateway.predict(last)
    expect(tab.locator("#digit")).to_have_text(str(shares.argmax()))
    bars = [float(text.rstrip(" %")) for text in tab.locator("#bars .share").all_inner_texts()]
    assert bars == pytest.approx((100 * shares).tolist(), abs=0.06)
    says(tab, "this browser agrees, difference below 0.0001", "#agreement")
    assert len(gateway.asked["predict"]) > 1, "asked while the pen moves"
    says(tab, f"{shares.argmax()}, ", "#said")


def test_an_empty_paper_asks_nobody_and_too_many_questions_wait_as_long_as_the_server_wants(opened, gateway):
    tab = opened()
    expect(tab.locator("#sure")).to_have_text("draw a digit")
    line = drawn(tab, gateway)
    draw(tab, BAR)
    assert settled(tab, gateway) != line
    act(tab, "Undo")
    assert settled(tab, gateway) == line
    count = len(gateway.asked["predict"])
    act(tab, "Clear")
    expect(tab.locator("#digit")).to_have_text("–")
    expect(tab.get_by_role("button", name="It is a 0")).to_be_disabled()
    settled(tab, gateway)
    assert len(gateway.asked["predict"]) == count
    drawn(tab, gateway)
    gateway.say("predict", Refused(429, "too_many", "too many questions", after=1))
    draw(tab, [(0.6, 0.5)])  # no further stroke asks again
    says(tab, "No answer: too many questions", "#sure")
    gateway.say("predict")
    answers(tab, "on the server")
    gateway.say("predict", lambda body: time.sleep(0.3) or gateway.usual("predict", body))
    draw(tab, BAR)
    act(tab, "Clear")
    tab.wait_for_timeout(500)
    expect(tab.locator("#digit")).to_have_text("–")


def test_fingers_and_keys_draw_as_the_mouse_does(opened, gateway):
    tab = opened(**PHONE)
    touch(tab, LINE)
    answers(tab, "on the server")
    assert upright(settled(tab, gateway))
    assert tab.evaluate("scrollY") == 0, "a finger that draws does not scroll"
    tab.locator("#canvas").focus()
    press(tab, "Delete")
    expect(tab.locator("#digit")).to_have_text("–")
    press(tab, *["ArrowUp"] * 8, "Space", *["ArrowDown"] * 16, "Space", "ArrowRight")
    answers(tab, "on the server")
    assert upright(settled(tab, gateway))
    press(tab, "Control+z")
    expect(tab.locator("#digit")).to_have_text("–")


def test_one_tap_sends_the_right_digit_again_if_the_store_cant_take_it_now(opened, gateway):
    tab = opened()
    asked = drawn(tab, gateway)
    gateway.say("feedback", Refused(507, "full", "the disk is full"))
    act(tab, "It is a 3")
    says(tab, "the disk is full. It is kept on this page", "#draw-feedback .said")
    says(tab, "One correction waits", "#outbox-text")
    gateway.say("feedback")
    act(tab, "Send again")
    expect(tab.locator("#outbox")).to_be_hidden()
    kept, sent = map(json.loads, gateway.asked["feedback"])
    assert kept == sent
    assert base64.b64decode(sent.pop("image")) == asked, "the very bytes that were asked"
    assert sent.pop("confidence") == pytest.approx(gateway.predict(asked).max())
    expected = {"label": 3, "digit": int(gateway.predict(asked).argmax()), "version": 3}
    assert sent == {**expected, "source": "drawing", "mode": "server"}
    gateway.say("feedback", Refused(400, "bad_request", "label: 12 is no digit"))
    drawn(tab, gateway, BAR)
    act(tab, "It is a 0")
    says(tab, "Not taken: label: 12 is no digit", "#draw-feedback .said")
    expect(tab.locator("#outbox")).to_be_hidden()


def test_a_photo_shows_boxes_fields_and_details_and_its_digits_can_be_corrected(opened, gateway, strip):
    tab = opened()
    picture, tree = strip
    text = tree["text"]
    upload(tab, EVIL, picture)
    says(tab, f"Read: {text}. Not sure; touch")
    assert gateway.asked["read"] == [picture]
    expect(tab.locator("#photo-name")).to_have_text(EVIL)
    expect(tab).to_have_title("digits")
    expect(tab.locator(".box .tag")).to_have_text(list(text))
    stage, box = tab.locator("#stage img").bounding_box(), tab.locator(".box").nth(1).bounding_box()
    left, top = box["x"] - stage["x"], box["y"] - stage["y"]
    place = [left / stage["width"], top / stage["height"], box["width"] / stage["width"]]
    assert place == pytest.approx([140 / 400, 30 / 160, 100 / 400], abs=0.025)
    says(tab, "number", "#fields")
    says(tab, "not sure, 60.0%", "#fields")
    expect(tab.locator(".fields .why")).to_have_count(0)  # a digit is unsure: that says it
    says(tab, "One place not read: no digits", "#unread")
    expect(tab.locator(".stage .unread")).to_have_count(1)
    tab.locator(".box").nth(1).click()
    says(tab, f"{text[1]}, not sure, 61.0%", "#detail-title")
    digit = tree["lines"][0]["fields"][0]["digits"][1]
    seen = tab.locator("#detail-image").evaluate(
        "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, 28, 28).data)"
    )
    image = np.frombuffer(bytes(seen[::4]), np.uint8).reshape(28, 28)
    assert image.max() == 255 and not image[:3].any(), "white on black in the middle"
    expect(tab.locator("#detail-bars li")).to_have_count(3)
    act(tab, "It is a 0")
    says(tab, "Thanks", "#photo-feedback .said")
    (body,) = map(json.loads, gateway.asked["feedback"])
    assert base64.b64decode(body.pop("image")) == image.tobytes()
    expected = {"label": 0, "digit": digit["digit"], "confidence": 0.61, "version": 3}
    assert body == {**expected, "source": "photo", "mode": "server"}


def test_labels_stand_beside_the_writing_and_an_unsure_number_of_clear_digits_is_explained(
    opened, gateway, strip
):
    picture, tree = strip
    (field,) = tree["lines"][0]["fields"]
    top = [digit | {"accepted": True, "box": [*digit["box"][:1], 0, 100, 160]} for digit in field["digits"]]
    lines = [tree["lines"][0] | {"fields": [field | {"digits": top}]}]
    gateway.say("read", lambda _: tree | {"lines": lines})
    tab = opened(**PHONE)
    upload(tab, "a.png", picture)
    says(tab, "Whether one is missing", "#fields .why")
    image = tab.locator("#stage img").bounding_box()
    for label in tab.locator(".box .tag, .box .tip:visible").all():
        place = label.bounding_box()
        above = place["y"] + place["height"] <= image["y"] + 2
        assert above or place["y"] >= image["y"] + image["height"] - 2
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]


HAND_OVER = """(content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], "a.png"));
  const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: held });
  document.body.dispatchEvent(drop);
}"""


def test_pictures_are_taken_by_drop_and_one_that_the_browser_cant_show_has_boxes(opened, gateway, strip):
    tab = opened()
    tab.evaluate(HAND_OVER, base64.b64encode(strip[0]).decode())
    says(tab, "Read: ")
    assert gateway.asked["read"] == [strip[0]]
    upload(tab, "scan.tif", encode(Image.new("L", (400, 160), 240), "TIFF"))
    says(tab, "can't show this kind of picture", "#stage")
    assert tab.locator("#stage").bounding_box()["height"] > 50


def test_the_camera_takes_a_picture_and_its_refusal_leads_to_the_chooser(opened, gateway):
    tab = opened()
    tab.get_by_role("tab", name="Photo").click()
    tab.context.grant_permissions([])  # that is, refused
    act(tab, "Use the camera")
    says(tab, "The camera was refused.", "#shutter-said")
    expect(tab.get_by_role("button", name="Choose a picture instead")).to_be_focused()
    expect(tab.locator("#file-camera")).to_have_attribute("capture", "environment")
    act(tab, "Close")
    tab.context.grant_permissions(["camera"])
    act(tab, "Use the camera")
    act(tab, "Take the picture")
    says(tab, "Read: ")
    (photo,) = gateway.asked["read"]
    assert photo[:3] == b"\xff\xd8\xff"
    expect(tab.locator("#viewfinder"), "the camera is off again").to_have_js_property("srcObject", None)


def test_files_that_cant_be_read_are_refused_in_words_before_they_are_sent(opened, gateway):
    tab = opened()
    for name, content, words in [
        ("scan.png", b"%PDF-1.7 \n" * 9, "This is a PDF, whatever its name says."),
        ("phone.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC photo"),
        ("poster.png", png_claiming(20_000, 10_000), "20000 × 10000 pixels; up to 4 million"),
        ("long.png", encode(Image.new("L", (9, 9))) + bytes(2_000_000), "more than the 1.9 MB"),
        ("cut.png", encode(Image.new("L", (9, 9)))[:20], "cut short"),
    ]:
        upload(tab, name, content)
        says(tab, words)
    assert gateway.asked["read"] == []
    gateway.say("read", Refused(400, "bad_picture", "the picture is damaged"))
    upload(tab, "bad.png", encode(Image.new("L", (9, 9))))
    says(tab, "Not read: the picture is damaged.")
    expect(tab.locator("#result")).to_be_hidden()


def test_without_its_server_the_page_answers_itself_and_goes_back_when_asked(opened, gateway):
    tab = opened(local=True)
    expect(in_browser(tab)).to_be_enabled()
    drawn(tab, gateway)
    place = tab.locator("#canvas").bounding_box()
    with gateway.away():
        draw(tab, [(0.49, 0.5)])
        shown = answers(tab, "version 3, in this browser")
        says(tab, "server does not answer. Version 3 answers in this browser", "#banner-text")
        expect(in_browser(tab)).to_be_checked()
        assert tab.locator("#canvas").bounding_box() == place, "nothing moves the paper while it is drawn on"
        act(tab, "It is a 1")
        says(tab, "kept on this page", "#draw-feedback .said")
        upload(tab, "one.png", encode(page(digits(1, 8)[0][0])))
        says(tab, "Not read: the reader of lines for this browser could not be loaded")
    tab.evaluate("dispatchEvent(new Event('online'))")
    says(tab, "The server is back", "#banner-text")
    expect(in_browser(tab), "nobody is moved without being asked").to_be_checked()
    tab.locator("#banner-act").click()
    tab.get_by_role("tab", name="Draw").click()
    answers(tab, "on the server")
    act(tab, "Send again")
    expect(tab.locator("#outbox")).to_be_hidden()
    (body,) = map(json.loads, gateway.asked["feedback"])
    assert body["mode"] == "browser" and str(body["digit"]) == shown
    assert str(gateway.predict(base64.b64decode(body["image"])).argmax()) == shown, "as the server would"


@pytest.fixture(scope="module")
def line_pictures(network):
    """Two pictures of lines, one of which the reader is sure of; and what the server would read in that."""
    pictures = [encode(Image.fromarray(255 - lines(width, 1).images[0])) for width in (40, 92, 150, 240)]
    answers = network.served[wire.LINES_ENCODED](tf.constant(pictures))
    accepted = answers[wire.ACCEPTED].numpy().tolist()
    sure, doubtful = accepted.index(True), accepted.index(False)
    return pictures[sure], pictures[doubtful], answers[wire.WRITTEN].numpy()[sure].decode()


def test_in_the_browser_a_line_is_read_there_and_what_is_doubtful_by_the_server(
    opened, gateway, line_pictures
):
    sure, doubtful, written = line_pictures
    tab = opened(**OFFLINE)
    in_browser(tab).check()
    tab.get_by_role("tab", name="Photo").click()
    says(tab, "a picture is read as one line of digits. Whatever it is not sure of is sent", "#photo-alone")
    fetched = """() => performance.getEntriesByType("resource")
      .filter(({ name }) => name.includes("lines-tfjs")).length"""
    assert tab.evaluate(fetched) == 0, "the reader comes with the first picture"
    upload(tab, "sure.png", sure)
    says(tab, f"Read: {written}.")
    expect(tab.locator("#photo-by")).to_have_text("Read as one line by version 3 in this browser.")
    expect(tab.locator(".box .tag")).to_have_text([sign for sign in written if sign != "."])
    places = [box.bounding_box()["x"] for box in tab.locator(".box").all()]
    assert places == sorted(places)
    assert tab.evaluate(fetched) == 2 and gateway.asked["read"] == []
    upload(tab, "doubtful.png", doubtful)
    why = "not sure that it is one line, so the server was asked. Read by version 3 on the server"
    says(tab, why, "#photo-by")
    assert gateway.asked["read"] == [doubtful]
    tab.wait_for_function("async () => (await (await caches.open('model-1')).keys()).length === 5")
    with gateway.away():
        tab.reload()
        says(tab, "server away", "#badge-text")
        expect(in_browser(tab)).to_be_checked()
        tab.get_by_role("tab", name="Photo").click()
        says(tab, "several lines need the server", "#photo-alone")
        upload(tab, "doubtful.png", doubtful)
        says(tab, "in this browser; finding several lines needs the server.", "#photo-by")


def test_a_gateway_without_a_model_says_so(opened, gateway):
    model = {"ready": False, "version": None, "message": "no version is published"}
    about = gateway.about() | {"model": model, "edge": None, "facts": None, "feedback": False}
    gateway.say("about", lambda _: about)
    tab = opened("?")
    says(tab, "No version is published.", "#banner-text")
    expect(tab.locator("#badge-text")).to_have_text("no version in service")
    expect(tab.locator("#draw-feedback"), "nobody collects corrections here").to_be_hidden()


def test_a_new_version_is_noticed_by_badge_and_browser(opened, gateway):
    tab = opened(**OFFLINE)
    expect(in_browser(tab)).to_be_enabled()
    gateway.version = 4
    draw(tab, LINE)
    says(tab, "version 4", "#badge-text")
    says(tab, "Version 4 is in service now.", "#news")
    in_browser(tab).check()
    answers(tab, "version 4, in this browser")
    tab.wait_for_function(
        """async () => {
          const kept = await (await caches.open("model-1")).keys();
          return kept.length === 3 && kept.every(({ url }) => new URL(url).pathname.startsWith("/edge/4/"));
        }"""
    )


def test_a_server_with_a_key_asks_for_it_and_only_this_tab_keeps_it(opened, gateway):
    gateway.key = "open sesame"
    tab = opened(**OFFLINE)
    dialog = tab.locator("#key")
    expect(dialog).to_be_visible()
    tab.keyboard.type("wrong")
    press(tab, "Enter")
    says(tab, "That key was refused", "#key-said")
    press(tab, "Escape")
    says(tab, "An API key is needed.", "#banner-text")
    draw(tab, LINE)
    expect(dialog, "who said no is not asked at every stroke").to_be_hidden()
    act(tab, "Clear")
    tab.locator("#banner-act").click()
    expect(dialog).to_be_visible()
    tab.keyboard.type("open sesame")
    press(tab, "Enter")
    says(tab, "version 3", "#badge-text")
    expect(dialog).to_be_hidden()
    kept = tab.evaluate("JSON.stringify([localStorage, document.cookie])")
    assert "sesame" not in kept and tab.evaluate("sessionStorage['digits.key']") == "open sesame"
    draw(tab, LINE)
    answers(tab, "on the server")
    tab.locator("#badge").click()
    says(tab, "99.62%", "#provenance-body")
    expect(in_browser(tab), "the model for the browser wants the key too").to_be_enabled()
    says(tab, "Works offline now.", "#offline")
    with tab.expect_popup() as card:
        tab.get_by_role("link", name="Model card").click()
    assert card.value.locator("body").inner_text() == CARD, "though a link can't bring the key along"


def test_once_loaded_the_page_opens_and_answers_without_a_server(opened, gateway):
    tab = opened(**OFFLINE)
    says(tab, "Works offline now.", "#offline")
    gateway.newer["/static/style.css"] = (STATIC / "style.css").read_bytes() + b"body { border: 7px solid }"
    tab.reload()
    expect(tab.locator("body"), "an update is seen at once").to_have_css("border-top-width", "7px")
    with gateway.away():
        tab.reload()
        expect(tab.locator("body"), "and kept").to_have_css("border-top-width", "7px")
        says(tab, "server away", "#badge-text")
        expect(in_browser(tab)).to_be_enabled()
        draw(tab, LINE)
        answers(tab, "version 3, in this browser")
        tab.locator("#badge").click()
        says(tab, "not at hand", "#provenance-body")
        says(tab, "99.62%", "#provenance-body")


def test_the_badge_leads_to_where_the_version_comes_from(opened):
    tab = opened()
    says(tab, "99.62% right", "#badge-text")
    tab.locator("#badge").click()
    says(tab, "not passed", "#provenance-body")
    for words in (
        "99.62% of 10,000 test images (99.48% to 99.72% with 95% confidence)",
        "4d4a05ea",
        "with changes that were not committed",
        f"every digit: {EVIL}",
        "95.97%",
    ):
        says(tab, words, "#provenance-body")
    shown = tab.locator("#provenance-body").inner_text()
    assert shown.count("✓") == 1 and shown.count("✗") == 1
    expect(tab).to_have_title("digits")
    press(tab, "Escape")
    expect(tab.locator("#provenance")).to_be_hidden()


def test_keys_and_screen_readers_find_everything(opened):
    tab = opened()
    press(tab, "Tab")
    expect(tab.get_by_role("link", name="To the drawing area")).to_be_focused()
    tab.get_by_role("tab", name="Draw").focus()
    press(tab, "ArrowRight")
    expect(tab.get_by_role("tab", name="Photo")).to_be_focused()
    expect(tab.locator("#photo")).to_be_visible()
    nameless = tab.locator("button, input, canvas, [role=tabpanel], dialog").evaluate_all(
        """(all) => all.filter((e) => !(e.innerText || e.textContent.trim() || e.ariaLabel || e.labels?.length
          || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    tab.emulate_media(reduced_motion="reduce")
    expect(tab.locator(".fill").first).to_have_css("transition-property", "none")


def test_the_calls_are_described_for_people(opened, gateway):
    gateway.openapi = document()
    tab = opened("docs")
    says(tab, "POST/api/predict", "#calls")
    shown = tab.locator("#calls").inner_text()
    assert f"curl -X POST {gateway.url}api/predict" in shown and "--data-binary @file" in shown
    assert re.search(r"""-d '\{.*"label":0""", shown)


def test_page_and_modules_take_nothing_from_elsewhere():
    for path in STATIC.rglob("*"):
        if path.is_file() and "vendor" not in path.parts:
            text = path.read_text()
            assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}, path
            barred = re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", text)
            assert path.suffix != ".html" or not barred, f"{path}: the policy bars it"


def test_the_worker_keeps_every_file_that_the_page_needs():
    worker = (STATIC / "sw.js").read_text()
    listed = {f"{name}.js" for name in re.findall(r'"([a-z]+)"', worker.split("...[")[1].split("]")[0])}
    assert listed == {path.name for path in (STATIC / "page").iterdir()} - {"docs.js", "review.js"}, (
        "pages that need a network"
    )
    whole = re.findall(r'"(/static/[\w./-]+)"', worker)
    assert all((STATIC / path.removeprefix("/static/")).is_file() for path in whole)
    needed = {path.name for path in STATIC.glob("*.js")} - {"sw.js"}
    assert needed <= {path.rsplit("/", 1)[1] for path in whole}
