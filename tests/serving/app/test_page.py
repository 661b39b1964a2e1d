"""The page in a real headless Chromium, against a gateway of a few lines in every mood."""

import base64
import gzip
import json
import re
import time
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bench.browser import STATIC
from bench.devtools import CAMERA, Chromium
from digits import wire
from digits.convert import tfjs
from digits.export import signatures
from digits.model import architectures

from ..._digits import digits
from ..._pictures import encode, page, png_claiming
from ._needs import needs
from ._stand_in_gateway import Gateway, Refused, slow

pytestmark = needs("chromium")
ANSWER = {"temperature": 1.5, "threshold": 0.2, "normalization": "canonical"}
EVIL = "<img src=x onerror=document.title='hacked'>.png"
RULES = [
    {"rule": "accuracy", "passed": True, "reason": "99.62% right, 98.00% wanted", "threshold": 0.98},
    {"rule": "every_digit", "passed": False, "reason": EVIL, "threshold": 0.95},
]
RECORD = {
    "dataset": "mnist",
    "sample": False,
    "threshold": 0.9927,
    "metrics": {
        "accuracy": 0.9962,
        "accuracy_interval": [0.9948, 0.9972],
        "n_test": 10000,
        "ece": 0.0023,
        "training": {"parameters": 116266},
        "corruptions": {"blur": 0.9907, "hole": 0.9597},
        "abstention": {"coverage": 0.9632, "precision": 0.9996},
    },
    "verdict": {"passed": False, "rules": RULES},
    "data": {"splits": {"test": {"n": 10000, "images_sha256": "fbf9701b11f5659e" * 4}}},
    "recipe": {"profile": "fast", "augmentation": {"rotation": 10.0}},
    "libraries": {"tensorflow": "2.21.0"},
    "published": {"at": "2026-11-22T03:59:51Z", "commit": "4d4a05ea", "dirty": True},
}
LINE = [(0.5, 0.2 + 0.03 * step) for step in range(21)]
BAR = [(0.2 + 0.03 * step, 0.5) for step in range(21)]


@pytest.fixture(scope="module")
def model():
    made = architectures.build("small", seed=4)
    for weight in made.weights:
        if "kernel" in weight.path:
            weight.assign(weight * 3.0)  # answers that differ from image to image
    return made


@pytest.fixture(scope="module")
def strip():
    """A picture of three digits, and what the server reads in it."""
    images, labels = digits(3, seed=5)
    picture = Image.new("L", (400, 160), 240)
    found = []
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        picture.paste(Image.fromarray(255 - image).resize((100, 100)), (20 + 120 * i, 30))
        found.append(
            {
                "box": [20 + 120 * i, 30, 100, 100],
                "digit": int(label),
                "confidence": 0.61 if i == 1 else 0.999,
                "accepted": i != 1,
                "alternatives": [[(int(label) + 1) % 10, 0.3], [(int(label) + 2) % 10, 0.01]],
                "split": i == 1,
                "image": base64.b64encode(image.tobytes()).decode(),
            }
        )
    text = "".join(str(digit["digit"]) for digit in found)
    field = {"kind": "number", "text": text, "confidence": 0.6, "accepted": False, "box": [20, 30, 340, 100]}
    line = {"box": field["box"], "text": text, "fields": [{**field, "digits": found, "separators": []}]}
    strangers = [{"box": [370, 10, 20, 140], "reason": "a line"}]
    tree = {"width": 400, "height": 160, "text": text, "lines": [line], "strangers": strangers, "version": 3}
    return encode(picture), tree


@pytest.fixture(scope="module")
def running(model, strip):
    logits = lambda images: model(images, training=False)  # noqa: E731
    ask = signatures.endpoints(logits, ANSWER["temperature"], ANSWER["threshold"], 10_000_000)[wire.PIXELS]

    def predict(body):
        pixels = np.frombuffer(body, np.uint8).reshape(1, 28, 28)
        return ask(tf.constant(pixels))[wire.PROBABILITIES].numpy()[0]

    predict(bytes(784))  # traced before anyone waits for it
    edge = {f"tfjs/{name}": data for name, data in tfjs.graph_model(architectures.network(model)).items()}
    made = Gateway(predict, {**edge, "answer.json": json.dumps(ANSWER).encode()}, strip[1])
    made.record = RECORD
    made.start()
    yield made
    made.stop()


@pytest.fixture
def gateway(running):
    running.reset()
    return running


@pytest.fixture(scope="module")
def browser():
    with Chromium(*CAMERA) as started:
        yield started


@pytest.fixture
def opened(browser, gateway):
    """A function that opens the page; in the end nothing may have gone wrong in it."""
    tabs = []

    def open_page(path="", **options):
        tab = browser.page(gateway.url + path, **options)
        tabs.append(tab)
        if path == "":
            tab.wait_for("document.querySelector('#badge-text')?.textContent.includes('version')")
        return tab

    yield open_page
    problems = [problem for tab in tabs for problem in tab.problems]
    for tab in tabs:
        tab.close()
    assert problems == []


def draw(tab, shape, by="drag"):
    x, y, side, _ = tab.box("#canvas")
    getattr(tab, by)([(x + across * side, y + down * side) for across, down in shape])


def shows_answer(tab, by):
    """The digit on the page, once it is the answer to the drawing as it is."""
    tab.wait_for(f"document.querySelector('#by').textContent.includes({json.dumps(by)})")
    return tab.text("#digit")


def browser_model(tab):
    tab.wait_for("!document.querySelector('[value=browser]').disabled", 60)


def upload(tab, tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    tab.upload("#file", file)


def said(tab, words, selector="#photo-said"):
    tab.wait_for(f"document.querySelector('{selector}').textContent.includes({json.dumps(words)})")
    return tab.text(selector)


def settled(tab, gateway):
    """The bytes of the last question, once nobody asks any more."""
    count = -1
    while count != len(gateway.asked["predict"]):
        count = len(gateway.asked["predict"])
        tab.evaluate("new Promise((resolve) => setTimeout(resolve, 250))")
    return gateway.asked["predict"][-1]


def test_a_drawing_is_asked_as_784_bytes_while_it_grows_and_both_answers_are_shown(opened, gateway):
    tab = opened()
    browser_model(tab)
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    last = settled(tab, gateway)
    image = np.frombuffer(last, np.uint8).reshape(28, 28)
    assert image[4:24, 12:16].sum() > 0.9 * image.sum() > 0, "an upright line, white on black, in the middle"
    shares = gateway.predict(last)
    assert tab.text("#digit") == str(shares.argmax())
    bars = tab.evaluate(
        "Array.from(document.querySelectorAll('#bars .share'), (bar) => parseFloat(bar.textContent))"
    )
    assert bars == pytest.approx((100 * shares).tolist(), abs=0.06)
    assert "difference below 0.0001" in said(tab, "this browser agrees", "#agreement")
    assert len(gateway.asked["predict"]) > 1, "asked while the pen moves"
    assert gateway.at_once["predict"] == 1, "one question at a time"
    said(tab, f"{shares.argmax()}, ", "#said")


def test_an_empty_paper_asks_nobody_and_undo_and_clear_lead_back_to_it(opened, gateway):
    tab = opened()
    assert tab.text("#sure") == "draw a digit"
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    line = settled(tab, gateway)
    draw(tab, BAR)
    assert settled(tab, gateway) != line
    tab.click("#undo")
    assert settled(tab, gateway) == line
    count = len(gateway.asked["predict"])
    tab.click("#clear")
    assert tab.text("#digit") == "–" and tab.text("#sure") == "draw a digit"
    assert tab.evaluate("document.querySelector('#draw-feedback button').disabled")
    settled(tab, gateway)
    assert len(gateway.asked["predict"]) == count


def test_fingers_and_keys_draw_as_the_mouse_does(opened, gateway):
    tab = opened(size=(390, 800))
    tab.resize(390, 800, mobile=True)
    draw(tab, LINE, by="touch")
    shows_answer(tab, "on the server")
    touched = np.frombuffer(settled(tab, gateway), np.uint8).reshape(28, 28)
    assert touched[4:24, 12:16].sum() > 0.9 * touched.sum() > 0
    assert tab.evaluate("scrollY") == 0, "a finger that draws does not scroll"
    tab.evaluate("document.querySelector('#canvas').focus()")
    tab.press("Delete")
    assert tab.text("#digit") == "–"
    tab.press(*["ArrowUp"] * 8, " ", *["ArrowDown"] * 16, " ", "ArrowRight")
    shows_answer(tab, "on the server")
    typed = np.frombuffer(settled(tab, gateway), np.uint8).reshape(28, 28)
    assert typed[4:24, 12:16].sum() > 0.9 * typed.sum() > 0
    tab.press("z", control=True)
    assert tab.text("#digit") == "–"


def test_one_tap_sends_the_right_digit_with_the_very_bytes_that_were_asked(opened, gateway):
    tab = opened()
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    asked = settled(tab, gateway)
    tab.click("#draw-feedback button:nth-of-type(4)")
    said(tab, "Thanks: it is a 3", "#draw-feedback .said")
    (body,) = map(json.loads, gateway.asked["feedback"])
    assert base64.b64decode(body.pop("image")) == asked
    assert body.pop("confidence") == pytest.approx(gateway.predict(asked).max())
    expected = {"label": 3, "digit": int(gateway.predict(asked).argmax()), "version": 3}
    assert body == {**expected, "source": "drawing", "mode": "server"}


def test_what_the_store_cant_take_now_is_kept_and_sent_again(opened, gateway):
    tab = opened()
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    settled(tab, gateway)
    gateway.say("feedback", Refused(507, "full", "the disk is full"))
    tab.click("#draw-feedback button:nth-of-type(8)")
    assert "kept on this page" in said(tab, "the disk is full", "#draw-feedback .said")
    said(tab, "One correction waits", "#outbox-text")
    gateway.say("feedback")
    tab.click("#outbox-act")
    tab.wait_for("document.querySelector('#outbox').hidden")
    kept, sent = map(json.loads, gateway.asked["feedback"])
    assert kept == sent and sent["label"] == 7
    gateway.say("feedback", Refused(400, "bad_request", "label: 12 is no digit"))
    draw(tab, BAR)
    tab.wait_for("!document.querySelector('#draw-feedback button').disabled")
    settled(tab, gateway)
    tab.click("#draw-feedback button:nth-of-type(1)")
    said(tab, "Not taken: label: 12 is no digit", "#draw-feedback .said")
    assert tab.evaluate("document.querySelector('#outbox').hidden")


def test_a_photo_shows_boxes_fields_and_details_and_its_digits_can_be_corrected(
    opened, gateway, strip, tmp_path
):
    tab = opened()
    picture, tree = strip
    upload(tab, tmp_path, EVIL, picture)
    text = tree["text"]
    assert "Not sure; touch" in said(tab, f"Read: {text}.")
    assert gateway.asked["read"] == [picture]
    assert tab.text("#photo-name") == EVIL and tab.evaluate("document.title") == "digits"
    labels = tab.evaluate("Array.from(document.querySelectorAll('.box .tag'), (tag) => tag.textContent)")
    assert "".join(labels) == text
    stage, box = tab.box("#stage img"), tab.box(".box:nth-of-type(2)")
    place = [(box[0] - stage[0]) / stage[2], (box[1] - stage[1]) / stage[3], box[2] / stage[2]]
    assert place == pytest.approx([140 / 400, 30 / 160, 100 / 400], abs=0.025)
    assert "number" in tab.text("#fields") and "not sure, 60.0 %" in tab.text("#fields")
    assert (
        "a line" in tab.text("#strangers")
        and tab.evaluate("document.querySelectorAll('.stranger').length") == 1
    )
    tab.click(".box:nth-of-type(2)")
    assert f"{text[1]}, not sure, 61.0 %; cut from digits that touch" in tab.text("#detail-title")
    digit = tree["lines"][0]["fields"][0]["digits"][1]
    seen = tab.evaluate(
        "Array.from(document.querySelector('#detail-image').getContext('2d').getImageData(0, 0, 28, 28).data)"
    )
    assert bytes(seen[::4]) == base64.b64decode(digit["image"])
    assert (
        len(tab.evaluate("Array.from(document.querySelectorAll('#detail-bars li'), (bar) => bar.innerText)"))
        == 3
    )
    tab.click("#photo-feedback button:nth-of-type(1)")
    said(tab, "Thanks", "#photo-feedback .said")
    (body,) = map(json.loads, gateway.asked["feedback"])
    expected = {
        "image": digit["image"],
        "label": 0,
        "digit": digit["digit"],
        "confidence": 0.61,
        "version": 3,
    }
    assert body == {**expected, "source": "photo", "mode": "server"}


HAND_OVER = """
(() => {
  const bytes = Uint8Array.from(atob("CONTENT"), (letter) => letter.charCodeAt(0));
  const held = new DataTransfer(), usual = { bubbles: true, cancelable: true };
  held.items.add(new File([bytes], "a.png"));
  document.body.dispatchEvent(new EVENT({ ...usual, dataTransfer: held, clipboardData: held }));
})()
"""


@pytest.mark.parametrize("event", ["DragEvent('drop', ", "ClipboardEvent('paste', "])
def test_pictures_are_taken_by_drop_and_paste_too(opened, gateway, strip, event):
    tab = opened()
    script = HAND_OVER.replace("EVENT(", event).replace("CONTENT", base64.b64encode(strip[0]).decode())
    tab.evaluate(script)
    said(tab, "Read: ")
    assert not tab.evaluate("document.querySelector('#photo').hidden")
    assert gateway.asked["read"] == [strip[0]]


def test_a_picture_that_the_browser_cant_show_still_has_its_boxes(opened, strip, tmp_path):
    tab = opened()
    upload(tab, tmp_path, "scan.tif", encode(Image.new("L", (400, 160), 240), "TIFF"))
    said(tab, "Read: ")
    assert "can't show this kind of picture" in said(tab, "boxes", "#stage")
    assert tab.evaluate("document.querySelector('#stage').clientHeight") > 50


def test_files_that_cant_be_read_are_refused_in_words_before_they_are_sent(opened, gateway, tmp_path):
    tab = opened()
    for name, content, words in [
        ("scan.png", b"%PDF-1.7 \n" * 9, "This is a PDF, whatever its name says."),
        ("notes.jpg", b"just words", "no picture that can be read"),
        ("phone.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC photo"),
        ("empty.png", b"", "The file is empty."),
        ("poster.png", png_claiming(20_000, 10_000), "20000 × 10000 pixels; up to 4 million"),
        ("long.png", encode(Image.new("L", (9, 9))) + bytes(2_000_000), "more than the 1.9 MB"),
        ("cut.png", encode(Image.new("L", (9, 9)))[:20], "cut short"),
    ]:
        upload(tab, tmp_path, name, content)
        said(tab, words)
    assert gateway.asked["read"] == []
    gateway.say("read", Refused(400, "bad_picture", "the picture is damaged"))
    upload(tab, tmp_path, "bad.png", encode(Image.new("L", (9, 9))))
    said(tab, "Not read: the picture is damaged.")
    assert tab.evaluate("document.querySelector('#result').hidden")


def test_without_its_server_the_page_answers_itself_and_goes_back_when_asked(
    opened, gateway, strip, tmp_path
):
    tab = opened()
    browser_model(tab)
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    place = "document.querySelector('#canvas').getBoundingClientRect().top"
    top = tab.evaluate(place)
    gateway.stop()
    try:
        draw(tab, [(0.49, 0.5)])
        shows_answer(tab, "version 3, in this browser")
        assert "Version 3 answers in this browser" in said(tab, "server does not answer", "#banner-text")
        assert tab.evaluate("document.querySelector('[value=browser]').checked")
        assert tab.evaluate(place) == top, "nothing moves the paper while someone draws on it"
        shown = tab.text("#digit")
        tab.click("#draw-feedback button:nth-of-type(2)")
        said(tab, "kept on this page", "#draw-feedback .said")
        upload(tab, tmp_path, "one.png", encode(page(digits(1, 8)[0][0])))
        said(tab, "Read: ")
        assert "finding many digits needs the server" in tab.text("#photo-by")
        assert tab.evaluate("document.querySelectorAll('.box').length") == 1
        upload(tab, tmp_path, "one.gif", encode(Image.new("L", (9, 9)), "GIF"))
        said(tab, "for GIF the server is needed")
    finally:
        gateway.start()
    tab.evaluate("dispatchEvent(new Event('online'))")
    said(tab, "The server is back", "#banner-text")
    assert tab.evaluate("document.querySelector('[value=browser]').checked"), (
        "nobody is moved without being asked"
    )
    tab.click("#banner-act")
    tab.click("#tab-draw")
    shows_answer(tab, "on the server")
    tab.click("#outbox-act")
    tab.wait_for("document.querySelector('#outbox').hidden")
    (body,) = map(json.loads, gateway.asked["feedback"])
    assert body["mode"] == "browser" and str(body["digit"]) == shown
    assert str(gateway.predict(base64.b64decode(body["image"])).argmax()) == shown, "as the server would"


def test_a_gateway_without_a_model_says_so_and_the_model_of_an_earlier_visit_answers(opened, gateway):
    tab = opened()
    said(tab, "Works offline now.", "#offline")
    about = gateway.about() | {
        "model": {"ready": False, "version": None, "message": "no version is published"}
    }
    gateway.say("about", lambda _: about | {"edge": None, "facts": None, "feedback": False})
    gateway.say("predict", Refused(503, "no_model", "the model server does not answer"))
    tab.reload()
    said(tab, "No version is published. Version 3 answers in this browser", "#banner-text")
    assert tab.text("#badge-text") == "no version in service"
    assert tab.evaluate("document.querySelector('#draw-feedback').hidden"), "nobody collects corrections here"
    draw(tab, LINE)
    shows_answer(tab, "version 3, in this browser")


def test_a_new_version_is_noticed_by_badge_and_browser(opened, gateway):
    tab = opened()
    browser_model(tab)
    gateway.version = 4
    draw(tab, LINE)
    said(tab, "version 4", "#badge-text")
    said(tab, "Version 4 is in service now.", "#news")
    tab.click("[value=browser]")
    shows_answer(tab, "version 4, in this browser")
    kept = (
        "caches.open('model-1').then((c) => c.keys()).then((all) => all.map((r) => new URL(r.url).pathname))"
    )
    tab.wait_for(
        f"{kept}.then((all) => all.length === 3 && all.every((path) => path.startsWith('/edge/4/')))"
    )


def test_too_many_questions_wait_as_long_as_the_server_wants(opened, gateway):
    tab = opened()
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    settled(tab, gateway)
    gateway.say("predict", Refused(429, "too_many", "too many questions", after=1))
    draw(tab, [(0.6, 0.5)])  # no further stroke asks again
    said(tab, "No answer: too many questions", "#sure")
    gateway.say("predict")
    shows_answer(tab, "on the server")


def test_a_slow_server_is_not_asked_twice_and_the_newest_strokes_win(opened, gateway):
    tab = opened()
    shares = [0.91] + [0.01] * 9
    found = {"digit": 0, "confidence": 0.91, "accepted": True, "probabilities": shares}
    gateway.say("predict", slow(0.4, {"version": 3, "predictions": [found]}))
    draw(tab, LINE)
    settled(tab, gateway)
    tab.wait_for("document.querySelector('#digit').textContent === '0'")
    tab.evaluate("new Promise((resolve) => setTimeout(resolve, 1000))")
    assert gateway.at_once["predict"] == 1 and len(gateway.asked["predict"]) <= 5
    draw(tab, BAR)
    tab.click("#clear")
    tab.evaluate("new Promise((resolve) => setTimeout(resolve, 1000))")
    assert tab.text("#digit") == "–", "an answer that comes after Clear is not shown"


def test_the_camera_takes_a_picture_and_its_refusal_leads_to_the_chooser(opened, gateway):
    tab = opened()
    origin = gateway.url.rstrip("/")
    tab.click("#tab-photo")
    tab.permit("camera", "denied", origin)
    tab.click("#camera")
    said(tab, "The camera was refused.", "#shutter-said")
    assert tab.evaluate("document.activeElement.id") == "shutter-file"
    assert tab.evaluate("document.querySelector('#file-camera').getAttribute('capture')") == "environment"
    tab.click("#shutter [data-close]")
    tab.permit("camera", "granted", origin)
    tab.click("#camera")
    tab.wait_for("!document.querySelector('#shoot').disabled")
    tab.click("#shoot")
    said(tab, "Read: ")
    (photo,) = gateway.asked["read"]
    assert photo[:3] == b"\xff\xd8\xff"
    assert tab.evaluate("document.querySelector('#viewfinder').srcObject") is None, "the camera is off again"


def test_a_server_with_a_key_asks_for_it_and_only_this_tab_keeps_it(opened, gateway, browser):
    gateway.key = "open sesame"
    tab = browser.page(gateway.url)
    tab.wait_for("document.querySelector('#key')?.open")
    tab.write("wrong")
    tab.press("Enter")
    said(tab, "That key was refused", "#key-said")
    tab.press("Escape")
    said(tab, "An API key is needed.", "#banner-text")
    draw(tab, LINE)
    assert not tab.evaluate("document.querySelector('#key').open"), "who said no is not asked at every stroke"
    tab.click("#clear")
    tab.click("#banner-act")
    tab.wait_for("document.querySelector('#key').open")
    tab.write("open sesame")
    tab.press("Enter")
    tab.wait_for("document.querySelector('#badge-text').textContent.includes('version 3')")
    assert not tab.evaluate("document.querySelector('#key').open")
    kept = tab.evaluate("JSON.stringify([localStorage, document.cookie])")
    assert "sesame" not in kept and tab.evaluate("sessionStorage['digits.key']") == "open sesame"
    draw(tab, LINE)
    shows_answer(tab, "on the server")
    tab.click("#badge")
    said(tab, "99.62 %", "#provenance-body")
    link = tab.evaluate("document.querySelector('#provenance-body a').href")
    assert link.startswith("blob:"), "a plain link would come without the key"
    assert tab.problems == []
    tab.close()


def test_once_loaded_the_page_opens_and_answers_without_a_server(opened, gateway):
    tab = opened()
    said(tab, "Works offline now.", "#offline")
    style = "getComputedStyle(document.body).borderTopWidth"
    gateway.newer["/static/style.css"] = (STATIC / "style.css").read_bytes() + b"body { border: 7px solid }"
    tab.reload()
    tab.wait_for(f"{style} === '7px'")  # an update is seen at once
    gateway.stop()
    try:
        tab.reload()
        tab.wait_for(f"{style} === '7px'")  # and kept
        said(tab, "server away", "#badge-text")
        browser_model(tab)
        draw(tab, LINE)
        shows_answer(tab, "version 3, in this browser")
        tab.click("#badge")
        assert "99.62 %" in said(tab, "not at hand", "#provenance-body")
    finally:
        gateway.start()


def test_a_server_that_hangs_is_waited_for_once_and_not_for_every_file(opened, gateway):
    tab = opened()
    said(tab, "Works offline now.", "#offline")
    gateway.hangs = 12.0
    began = time.monotonic()
    tab.reload()
    said(tab, "Works offline now.", "#offline")
    browser_model(tab)
    assert time.monotonic() - began < 11


def test_the_badge_leads_to_where_the_version_comes_from(opened):
    tab = opened()
    assert "99.62 % right" in tab.text("#badge-text")
    tab.click("#badge")
    shown = said(tab, "not passed", "#provenance-body")
    for words in (
        "99.62 % of 10,000 test images (99.48 % to 99.72 % with 95 % confidence)",
        "4d4a05ea",
        "with changes that were not committed",
        "fbf9701b11f5659e…",
        f"every digit: {EVIL}",
        "95.97 %",
        "0.23 % on average",
        "116,266 parameters",
    ):
        assert words in shown
    assert shown.count("✓") == 1 and shown.count("✗") == 1
    assert tab.evaluate("document.title") == "digits"
    tab.press("Escape")
    assert not tab.evaluate("document.querySelector('#provenance').open")


def test_phones_and_dark_rooms_have_a_page_that_fits(opened, strip, tmp_path):
    tab = opened()
    upload(tab, tmp_path, "x" * 120 + ".png", strip[0])
    said(tab, "Read: ")
    tab.click(".box")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for width in (320, 390, 768, 1200):
        tab.resize(width, 700, mobile=width < 500)
        for name in ("draw", "photo"):
            tab.click(f"#tab-{name}")
            assert not tab.evaluate(wide), (width, name)
        tab.click("#badge")
        said(tab, "not passed", "#provenance-body")
        assert not tab.evaluate("document.querySelector('#provenance').scrollWidth > innerWidth"), width
        tab.click("#provenance [data-close]")
    for scheme in ("light", "dark"):
        tab.prefer(prefers_color_scheme=scheme)
        pairs = [
            (ink, ground)
            for ink in ("ink", "soft", "good", "unsure", "bad", "accent")
            for ground in ("card", "ground")
        ]
        for ink, ground in [*pairs, ("on-accent", "accent"), ("ink", "warn-wash"), ("ink", "wash")]:
            assert contrast(colour(tab, ink), colour(tab, ground)) >= 4.5, (scheme, ink, ground)
    assert contrast(colour(tab, "ink"), (0, 0, 0)) > 10, "light ink on dark paper"

    tab.prefer(prefers_reduced_motion="reduce")
    assert tab.evaluate("getComputedStyle(document.querySelector('.fill')).transitionProperty") == "none"


def colour(tab, name):
    tab.evaluate(f"document.body.style.color = 'var(--{name})'")
    found = tab.evaluate("getComputedStyle(document.body).color")
    return tuple(int(part) for part in re.findall(r"\d+", found)[:3])


def contrast(one, other):
    """As WCAG 2 has it."""

    def light(levels):
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in (level / 255 for level in levels)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([light(one), light(other)])
    return (high + 0.05) / (low + 0.05)


def test_keys_and_screen_readers_find_everything(opened):
    tab = opened()
    tab.press("Tab")
    assert tab.text(":focus") == "To the drawing area"
    tab.evaluate("document.querySelector('#tab-draw').focus()")
    tab.press("ArrowRight")
    assert tab.evaluate("document.activeElement.id") == "tab-photo"
    assert not tab.evaluate("document.querySelector('#photo').hidden")
    nameless = tab.evaluate(
        "Array.from(document.querySelectorAll('button, input, canvas, [role=tabpanel], dialog'), (e) => e)"
        ".filter((e) => !(e.innerText || e.textContent.trim() || e.ariaLabel || e.labels?.length"
        " || e.getAttribute('aria-labelledby'))).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_the_calls_are_described_for_people(opened, gateway):
    body = {"content": {"application/octet-stream": {"schema": {"$ref": "#/components/schemas/Pixels"}}}}
    replies = {"200": {"description": "the answers"}, "400": {"$ref": "#/components/responses/Bad"}}
    fields = {
        "label": {"type": "integer"},
        "mode": {"enum": ["server", "browser"]},
        "image": {"type": "string"},
    }
    tree = {"content": {"application/json": {"schema": {"type": "object", "properties": fields}}}}
    least = {"name": "least", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 1}}
    gateway.openapi = {
        "info": {"title": "digits", "description": "What the page asks."},
        "paths": {
            "/api/predict": {
                "post": {
                    "description": f"{EVIL}\n\nAs `{EVIL}` too.",
                    "requestBody": body,
                    "responses": replies,
                }
            },
            "/api/read": {"post": {"parameters": [least], "requestBody": tree, "responses": {}}},
        },
        "components": {
            "schemas": {"Pixels": {"description": "n × 784 bytes"}},
            "responses": {"Bad": {"description": "no pixels"}},
        },
    }
    tab = opened("docs")
    shown = said(tab, "POST/api/predict", "#calls")
    assert {"n × 784 bytes", "no pixels", "number from 0 to 1", EVIL} <= set(re.split(r"[\n\t]+", shown))
    assert f"curl -X POST {gateway.url}api/predict" in shown and "--data-binary @file" in shown
    assert """-d '{"label":0,"mode":"server","image":"…"}'""" in shown
    assert tab.evaluate("document.querySelectorAll('#calls img').length") == 0


def test_page_and_modules_stay_small_and_take_nothing_from_elsewhere():
    own = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert sum(len(gzip.compress(path.read_bytes())) for path in own) <= 60_000
    for path in own:
        addresses = re.findall(r"https?://[^\s\"')]+", path.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path
    for name in ("index.html", "docs.html"):
        text = (STATIC / name).read_text()
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", text), (
            f"{name}: the policy bars it"
        )


def test_the_worker_keeps_every_file_that_the_page_needs():
    worker = (STATIC / "sw.js").read_text()
    listed = {f"{name}.js" for name in re.findall(r'"([a-z]+)"', worker.split("...[")[1].split("]")[0])}
    assert listed == {path.name for path in (STATIC / "page").iterdir()} - {"docs.js"}
    whole = re.findall(r'"(/static/[\w./-]+)"', worker)
    assert all((STATIC / path.removeprefix("/static/")).is_file() for path in whole)
    needed = {path.name for path in STATIC.glob("*.js")} - {"sw.js"}
    assert needed <= {path.rsplit("/", 1)[1] for path in whole}
    ids = Counter(re.findall(r'\sid="([^"]+)"', (STATIC / "index.html").read_text()))
    used = {
        name
        for path in (STATIC / "page").iterdir()
        for name in re.findall(r'byId\("([\w-]+)"\)', path.read_text())
    }
    assert max(ids.values()) == 1 and used - set(ids) <= {"title", "about", "calls"}
