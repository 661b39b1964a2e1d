"""POST /api/read: photos of every kind over real sockets; the model server knows synthetic digits."""

import base64
import hashlib
import http.client
import io
import sqlite3
import threading

import numpy as np
import pytest
from PIL import Image

from serving.app.routes import read
from serving.app.settings import Limits
from tests._digits import digits
from tests._pictures import encode
from tests.flows._processes import wait_for
from tests.serving.app._gateway import running

ROUTE = "/api/read"


@pytest.fixture(scope="module")
def gateway(fake, seen):
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


def post(gateway, picture, query="", **headers):
    return gateway.ask("POST", ROUTE + query, encode(picture), "image/png", **headers)


def test_a_row_of_digits_is_found_and_read_in_its_places(gateway):
    picture, labels = photo()
    status, _, told = gateway.ask("POST", ROUTE, encode(picture, "TIFF"), "application/octet-stream")
    assert status == 200 and told["version"] == 3 and told["unread"] == []
    found = [d for line in told["lines"] for field in line["fields"] for d in field["digits"]]
    assert [each["digit"] for each in found] == labels
    for i, each in enumerate(found):
        x, y, w, h = each["box"]
        assert 40 + 100 * i - 6 <= x and x + w <= 110 + 100 * i + 6 and y >= 20 and y + h <= 100


def test_a_confidence_and_a_format_may_be_asked_for(gateway):
    picture, labels = photo(4)
    for least, accepted in ((0.1, True), (1, False)):
        (line,) = post(gateway, picture, f"?least={least}")[2]["lines"]
        assert line["fields"][0]["accepted"] is accepted
    assert post(gateway, picture, "?format=digits:4")[2]["text"] == "".join(map(str, labels))
    refusals = (("format=[a-z]", "bad_picture", "the format '[a-z]'"), ("least=2", "bad_request", "least"))
    for query, code, told in refusals:
        status, _, tree = post(gateway, picture, f"?{query}")
        assert (status, tree["error"]["code"]) == (400, code) and told in tree["error"]["message"]


def test_each_line_is_logged_with_its_facts_and_if_asked_for_with_its_image(fake, seen, tmp_path):
    with running(server=fake.grpc, limits=Limits(rate=0), log=tmp_path, log_images=True) as gateway:
        data = encode(photo()[0])
        assert gateway.ask("POST", ROUTE, data, "image/png")[0] == 200
        assert gateway.ask("POST", ROUTE, b"no picture", "image/png")[0] == 400
    with sqlite3.connect(tmp_path / "requests.db") as database:
        names = "kind, route, status, digest, digit, version, contrast, image"
        line, failed = database.execute(f"SELECT {names} FROM requests ORDER BY rowid").fetchall()
    assert line[:5] == ("line", ROUTE, 200, hashlib.sha256(data).hexdigest(), None)
    assert line[5] and line[6] > 150
    with Image.open(io.BytesIO(line[7])) as shown:
        assert shown.height == 32 and np.ptp(np.asarray(shown)) == line[6]
    assert failed == ("", ROUTE, 400, "", None, None, None, None)


def test_lines_are_given_as_the_model_saw_them_if_asked_for_and_as_many_as_there_is_room_for(
    gateway, seen, monkeypatch
):
    picture = Image.fromarray(np.vstack([np.asarray(photo(4, seed)[0]) for seed in (5, 6)]))
    plain = post(gateway, picture)[2]
    assert "images" not in plain and "image" not in plain["lines"][0]["fields"][0]
    seen.lines.clear()
    told = post(gateway, picture, "?images=true")[2]
    for line in told["lines"]:
        (field,) = line["fields"]
        image = told["images"][field["image"]]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image["png"]))))
        assert any(np.array_equal(pixels, each) for each in seen.lines)
        assert (image["text"], image["confidence"]) == (field["text"], field["confidence"])
    assert len(told["images"]) == len(told["lines"]) == 2
    monkeypatch.setattr(read, "PIXELS", max(line.size for line in seen.lines))
    told = post(gateway, picture, "?images=true")[2]
    assert [line["fields"][0]["image"] for line in told["lines"]] == [0, None] and len(told["images"]) == 1


def test_what_is_no_picture_is_refused_in_words(gateway):
    for body, told in [
        (b"%PDF-1.7 not a picture", "is a PDF"),
        (encode(Image.new("L", (1500, 1500), 255)), "at most 2 million"),
        (b"<svg onload=alert(1)>", "an SVG drawing"),
    ]:
        status, _, tree = gateway.ask("POST", ROUTE, body, "image/png")
        assert (status, tree["error"]["code"]) == (400, "bad_picture")
        assert told in tree["error"]["message"] and "\n" not in tree["error"]["message"]


def test_paper_without_digits_holds_none_and_asks_nobody(gateway, fake):
    fake.asked.clear()
    status, _, told = post(gateway, Image.new("L", (300, 200), 255))
    assert (status, told["lines"], told["version"], fake.asked) == (200, [], None, [])


def test_more_photos_than_can_wait_are_told_to_come_back_half_of_the_places_for_one_address(fake, seen):
    with running(server=fake.grpc, limits=Limits(rate=0, readers=1, waiting=3)) as gateway:
        photos, (picture, _) = gateway.state.photos, photo(1)
        for _ in range(2):
            assert photos.take("127.0.0.1")  # as if two were being read
        status, headers, tree = post(gateway, picture)
        assert (status, tree["error"]["code"], headers["retry-after"]) == (503, "busy", "2")
        assert post(gateway, picture, address="127.0.0.2")[0] == 200
        for _ in range(2):
            assert photos.take("127.0.0.3")
        assert post(gateway, picture, address="127.0.0.2")[0] == 503, "all are taken"
        photos.give_back("127.0.0.1")
        assert post(gateway, picture)[0] == 200 and photos.used == 3


@pytest.mark.parametrize("leaves", [True, False])
def test_photos_of_visitors_who_left_or_were_sent_away_are_not_read(fake, seen, monkeypatch, leaves):
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
        assert post(gateway, photo(1)[0])[0] == 200
