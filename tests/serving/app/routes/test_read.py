"""POST /api/read: photos of every kind over real sockets; the model server knows synthetic digits."""

import base64
import dataclasses
import hashlib
import http.client
import io
import sqlite3
import threading

import numpy as np
import pytest
from PIL import Image

from digits_client import DigitClient
from serving.app.routes import read
from serving.app.settings import Limits
from tests._digits import digits
from tests._pictures import encode
from tests.flows._processes import wait_for
from tests.serving.app._gateway import running
from tests.serving.client import _fake
from tests.serving.client.reading import _sheet

ROUTE = "/api/read"


@pytest.fixture(scope="module")
def fake():
    """A model server; lines are read here, once it has been asked for something."""

    def predict_lines(client, lines):
        version = client.predict(np.zeros((28, 28), np.uint8)).version
        return dataclasses.replace(_sheet.ask(lines), version=version)

    with _fake.serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(DigitClient, "predict_lines", predict_lines, raising=False)
        yield server


@pytest.fixture(scope="module")
def gateway(fake):
    with running(server=fake.grpc, limits=Limits(rate=0, pixels=2_000_000)) as one:
        yield one


def photo(count=4, seed=5):
    """Black digits on white in a row, and what they are."""
    images, labels = digits(count, seed=seed)
    strip = np.full((120, 60 + 100 * count), 255, np.uint8)
    for i, image in enumerate(images):
        large = np.asarray(Image.fromarray(image).resize((70, 70)))
        strip[25:95, 40 + 100 * i : 110 + 100 * i] = 255 - large
    return Image.fromarray(strip), [int(each) for each in labels]


def test_a_row_of_digits_is_found_and_read_in_its_places(gateway):
    picture, labels = photo()
    status, _, told = gateway.ask("POST", ROUTE, encode(picture, "TIFF"), "application/octet-stream")
    assert status == 200 and told["version"] == 3 and told["unread"] == []
    found = [d for line in told["lines"] for field in line["fields"] for d in field["digits"]]
    assert [each["digit"] for each in found] == labels
    for i, each in enumerate(found):
        x, y, w, h = each["box"]
        assert 40 + 100 * i - 6 <= x and x + w <= 110 + 100 * i + 6 and y >= 20 and y + h <= 100


def test_a_field_is_accepted_from_the_confidence_that_is_asked_for(gateway):
    picture, _ = photo(2)
    easy = gateway.ask("POST", f"{ROUTE}?least=0.1", encode(picture), "image/png")[2]
    hard = gateway.ask("POST", f"{ROUTE}?least=1", encode(picture), "image/png")[2]
    assert [line["fields"][0]["accepted"] for line in (*easy["lines"], *hard["lines"])] == [True, False]


def test_a_format_may_be_asked_for_and_one_that_is_none_is_refused(gateway):
    picture, labels = photo(4)
    text = "".join(map(str, labels))
    told = gateway.ask("POST", f"{ROUTE}?format=digits:4", encode(picture), "image/png")[2]
    assert told["text"] == text
    status, _, tree = gateway.ask("POST", f"{ROUTE}?format=[a-z]", encode(picture), "image/png")
    assert status == 400 and "the format '[a-z]'" in tree["error"]["message"]


def test_each_line_is_logged_with_its_facts_and_if_asked_for_with_its_image(fake, tmp_path):
    with running(server=fake.grpc, limits=Limits(rate=0), log=tmp_path, log_images=True) as gateway:
        data = encode(photo()[0])
        assert gateway.ask("POST", ROUTE, data, "image/png")[0] == 200
        assert gateway.ask("POST", ROUTE, b"no picture", "image/png")[0] == 400
    with sqlite3.connect(tmp_path / "requests.db") as database:
        names = "kind, route, status, digest, digit, version, contrast, image"
        line, failed = database.execute(f"SELECT {names} FROM requests ORDER BY rowid").fetchall()
    assert (
        line[:5] == ("line", ROUTE, 200, hashlib.sha256(data).hexdigest(), None) and line[5] and line[6] > 150
    )
    with Image.open(io.BytesIO(line[7])) as shown:
        assert shown.height == 32 and np.ptp(np.asarray(shown)) == line[6]
    assert failed == ("", ROUTE, 400, "", None, None, None, None)


def test_lines_are_given_as_the_model_saw_them_if_asked_for_and_as_many_as_there_is_room_for(
    gateway, monkeypatch
):
    seen = []
    predict = DigitClient.predict_lines
    monkeypatch.setattr(
        DigitClient, "predict_lines", lambda client, lines: seen.extend(lines) or predict(client, lines)
    )
    picture = encode(Image.fromarray(np.vstack([np.asarray(photo(4, seed)[0]) for seed in (5, 6)])))
    plain = gateway.ask("POST", ROUTE, picture, "image/png")[2]
    assert "images" not in plain and "image" not in plain["lines"][0]["fields"][0]
    seen.clear()
    told = gateway.ask("POST", f"{ROUTE}?images=true", picture, "image/png")[2]
    for line in told["lines"]:
        (field,) = line["fields"]
        image = told["images"][field["image"]]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["png"]))))
        assert any(np.array_equal(pixels, each) for each in seen)
        assert (image["text"], image["confidence"]) == (field["text"], field["confidence"])
    assert len(told["images"]) == len(told["lines"]) == 2
    monkeypatch.setattr(read, "PIXELS", max(line.size for line in seen))
    told = gateway.ask("POST", f"{ROUTE}?images=true", picture, "image/png")[2]
    assert [line["fields"][0]["image"] for line in told["lines"]] == [0, None] and len(told["images"]) == 1


def test_a_confidence_out_of_range_is_refused(gateway):
    status, _, tree = gateway.ask("POST", f"{ROUTE}?least=2", encode(photo(1)[0]), "image/png")
    assert (status, tree["error"]["code"]) == (400, "bad_request") and "least" in tree["error"]["message"]


BAD = {
    "a PDF named .png": (b"%PDF-1.7 not a picture", "is a PDF"),
    "a little too large": (encode(Image.new("L", (1500, 1500), 255)), "at most 2 million"),
    "SVG": (b"<svg onload=alert(1)>", "an SVG drawing"),
}


@pytest.mark.parametrize(("body", "told"), BAD.values(), ids=BAD)
def test_what_is_no_picture_is_refused_in_words(gateway, body, told):
    status, _, tree = gateway.ask("POST", ROUTE, body, "image/png")
    assert (status, tree["error"]["code"]) == (400, "bad_picture")
    assert told in tree["error"]["message"] and "\n" not in tree["error"]["message"]


def test_paper_without_digits_holds_none_and_asks_nobody(gateway, fake):
    fake.asked.clear()
    status, _, told = gateway.ask("POST", ROUTE, encode(Image.new("L", (300, 200), 255)), "image/png")
    assert (status, told["lines"], told["version"], fake.asked) == (200, [], None, [])


def test_more_photos_than_can_wait_are_told_to_come_back(fake):
    limits = Limits(rate=0, readers=1, waiting=0)
    with running(server=fake.grpc, limits=limits) as gateway:
        assert gateway.state.photos.take("somebody")  # as if one were being read
        status, headers, tree = gateway.ask("POST", ROUTE, encode(photo(1)[0]), "image/png")
        assert (status, tree["error"]["code"], headers["retry-after"]) == (503, "busy", "2")
        gateway.state.photos.give_back("somebody")
        assert gateway.ask("POST", ROUTE, encode(photo(1)[0]), "image/png")[0] == 200
        assert gateway.state.photos.used == 0


def test_one_address_may_have_half_of_the_places_for_photos(fake):
    with running(server=fake.grpc, limits=Limits(rate=0, readers=1, waiting=3)) as gateway:
        for _ in range(2):
            assert gateway.state.photos.take("127.0.0.1")
        assert gateway.ask("POST", ROUTE, encode(photo(1)[0]), "image/png")[0] == 503
        assert gateway.ask("POST", ROUTE, encode(photo(1)[0]), "image/png", address="127.0.0.2")[0] == 200


@pytest.mark.parametrize("leaves", [True, False])
def test_photos_of_visitors_who_left_or_were_sent_away_are_not_read(fake, monkeypatch, leaves):
    reading, go_on, begun, honest = threading.Event(), threading.Event(), [], read._read

    def slow(*given):
        begun.append(given)
        reading.set()
        assert go_on.wait(60)
        return honest(*given)

    monkeypatch.setattr(read, "_read", slow)
    limits = Limits(rate=0, readers=1, seconds=60 if leaves else 1)
    with running(server=fake.grpc, limits=limits) as gateway:
        visitors = [http.client.HTTPConnection("127.0.0.1", gateway.port) for _ in range(3)]
        for visitor in visitors:
            visitor.request("POST", ROUTE, encode(photo(1)[0]), {"Content-Type": "image/png"})
            assert reading.wait(60)
        if leaves:
            wait_for(lambda: gateway.state.photos.used == 3)
        else:
            assert [visitor.getresponse().status for visitor in visitors] == [504] * 3
        for visitor in visitors:
            visitor.close()
        wait_for(lambda: gateway.state.photos.used == 1)  # the one that a reader has
        go_on.set()
        wait_for(lambda: gateway.state.photos.used == 0)
        assert len(begun) == 1
        expected = 499 if leaves else 504
        wait_for(lambda: [line["status"] for line in gateway.said if "status" in line][:2] == [expected] * 2)
        assert gateway.ask("POST", ROUTE, encode(photo(1)[0]), "image/png")[0] == 200
