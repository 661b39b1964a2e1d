"""What a person calls, over both transports, synchronously and in asyncio."""

import array
import asyncio
import re
import threading

import numpy as np
import pytest
from PIL import Image

from digits_client import (
    AsyncDigitClient,
    BadRequest,
    DigitClient,
    ModelNotFound,
    Prediction,
    ServingError,
    VersionStatus,
)
from digits_client.images import pixels
from tests.serving.client._fake import MAGIC, SURE, picture, shares


def images(*digits):
    made = np.zeros((len(digits), 28, 28), np.uint8)
    made[:, 0, 0] = digits
    return made


def test_pixels_are_answered_in_order_with_the_version_that_answered(client):
    answer = client.predict(images(4, 0, 9))
    assert answer.predictions == tuple(Prediction(d, SURE, tuple(shares(d))) for d in (4, 0, 9))
    assert answer.version == 3
    assert [each.digit for each in answer] == [4, 0, 9]
    assert len(answer) == 3
    assert answer[1].digit == 0
    assert [p.digit for p in client.predict(images(7)[0])] == [7], "one image needs no batch"


def test_nothing_asked_is_nothing_answered_and_no_request(client, fake):
    asked = client.predict([]), client.predict(images()), client.predict_files([]), client.predict_bytes([])
    for answer in asked:
        assert (answer.predictions, answer.version) == ((), None)
    assert fake.asked == []


def test_files_and_bytes_go_to_the_signature_for_pictures(client, fake, tmp_path):
    for digit in (8, 3):
        (tmp_path / f"{digit}.png").write_bytes(picture(digit))
    paths = [tmp_path / "8.png", str(tmp_path / "3.png")]
    assert [p.digit for p in client.predict_files(paths)] == [8, 3]
    assert [p.digit for p in client.predict_bytes([picture(5), bytearray(picture(6))])] == [5, 6]
    assert {signature for signature, _, _ in fake.asked} == {"encoded"}


def test_many_images_go_in_chunks_and_come_back_in_order(connect, fake, transport):
    digits = [i * 7 % 10 for i in range(23)]
    answer = connect(fake.address(transport), chunk_images=5).predict(images(*digits))
    assert [p.digit for p in answer] == digits
    assert [n for _, n, _ in fake.asked] == [5, 5, 5, 5, 3]


def test_chunks_of_pictures_are_bounded_by_bytes_and_a_larger_one_goes_alone(connect, fake, transport):
    sizes = [40, 40, 500, 40, 40, 40]
    pictures = [picture(i, b"." * (size - 9)) for i, size in enumerate(sizes)]
    answer = connect(fake.address(transport), chunk_bytes=100).predict_bytes(pictures)
    assert [p.digit for p in answer] == list(range(6))
    assert [n for _, n, _ in fake.asked] == [2, 1, 2, 1]


def test_one_version_answers_all_chunks_though_another_is_promoted(connect, fake, transport):
    def promote():
        fake.versions[4] = "AVAILABLE"

    fake.on_predict = promote
    answer = connect(fake.address(transport), chunk_images=1).predict(images(1, 2, 3))
    assert answer.version == 3
    assert [version for _, _, version in fake.asked][1:] == [3, 3]


def test_a_call_begins_again_when_its_version_leaves_midway(connect, fake, transport):
    def roll_out():
        fake.versions.clear()
        fake.versions[4] = "AVAILABLE"

    fake.on_predict = roll_out
    answer = connect(fake.address(transport), chunk_images=1).predict(images(1, 2, 3))
    assert (answer.version, [p.digit for p in answer]) == (4, [1, 2, 3])


def test_a_version_that_was_asked_for_is_the_one_that_answers(connect, fake, transport):
    fake.versions = {3: "AVAILABLE", 4: "AVAILABLE"}
    assert connect(fake.address(transport), version=3).predict(images(1)).version == 3
    assert connect(fake.address(transport)).predict(images(1)).version == 4
    with pytest.raises(ModelNotFound, match=re.escape("Specific(digits, 9)")):
        connect(fake.address(transport), version=9).predict(images(1))


def test_an_unknown_model_is_named(connect, fake, transport):
    with pytest.raises(ModelNotFound, match="expected it to serve 'nix'"):
        connect(fake.address(transport), model="nix").predict(images(1))


def test_status_lists_the_versions_newest_first_and_health_is_whether_one_is_ready(client, fake):
    fake.versions = {3: "AVAILABLE", 4: "END:no variables", 2: "UNLOADING"}
    assert client.status() == (
        VersionStatus(4, "END", "no variables"),
        VersionStatus(3, "AVAILABLE"),
        VersionStatus(2, "UNLOADING"),
    )
    assert client.health() is True, "a version is ready"
    fake.versions = {3: "LOADING"}
    assert client.health() is False
    fake.versions = {}
    assert client.health() is False


def test_a_closed_client_says_so(client):
    client.close()
    with pytest.raises(ServingError, match="closed"):
        client.predict(images(1))


@pytest.mark.parametrize("transport_name", ["grpc", "rest"])
def test_threads_may_share_a_client(transport_name, fake):
    found = {}
    with DigitClient(fake.address(transport_name), transport_name) as shared:

        def ask(digit):
            found[digit] = [p.digit for p in shared.predict(images(digit, digit))]

        threads = [threading.Thread(target=ask, args=(digit,)) for digit in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {digit: [digit, digit] for digit in range(10)}


@pytest.mark.parametrize("transport_name", ["grpc", "rest"])
def test_tasks_may_share_an_asyncio_client(transport_name, fake, runner):
    async def all_at_once():
        async with AsyncDigitClient(fake.address(transport_name), transport_name) as shared:
            return await asyncio.gather(*(shared.predict(images(digit)) for digit in range(10)))

    assert [answer[0].digit for answer in runner.run(all_at_once())] == list(range(10))


@pytest.mark.parametrize("transport_name", ["grpc", "rest"])
def test_an_asyncio_client_says_that_it_belongs_to_another_event_loop(transport_name, fake, runner):
    client = AsyncDigitClient(fake.address(transport_name), transport_name)
    try:
        assert runner.run(client.health()) is True
        with asyncio.Runner() as other, pytest.raises(ServingError, match="another event loop"):
            other.run(client.health())
    finally:
        runner.run(client.close())


REFUSED = {
    "floats": (np.zeros((28, 28), np.float32), "floats"),
    "floats in lists": ([[0.0] * 28] * 28, "floats"),
    "booleans": (np.zeros((28, 28), bool), r"type '\?'"),
    "booleans in lists": ([[True] * 28] * 28, "booleans"),
    "another shape": (np.zeros((28, 27), np.uint8), r"shape \[28, 27\]"),
    "colour": (np.zeros((2, 28, 28, 3), np.uint8), r"shape \[2, 28, 28, 3\]"),
    "flat": (bytes(784), r"shape \[784\]"),
    "negative": (np.full((28, 28), -1), "holds -1"),
    "above 255": ([[0] * 27 + [256]] + [[0] * 28] * 27, "row 0 of image holds 256"),
    "ragged": ([[[0] * 28] * 27 + [[0] * 29]], "image 0 has 28 rows of 28, 29 numbers"),
    "text": ("seven", "are a str"),
    "none": (None, "are a NoneType"),
    "a file": (MAGIC + b"...", "predict_bytes"),
    "files": ([MAGIC + b"..."], "predict_bytes"),
    "words": ([["a"] * 28] * 28, "holds str"),
    "dates": (np.zeros((28, 28), "datetime64[s]"), "are a ndarray"),
    "big-endian": (np.zeros((28, 28), ">i4"), "convert to uint8"),
    "not a number": ([[float("nan")] * 28] * 28, "floats"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pixels_that_could_be_misread_are_refused_before_anything_is_sent(name, fake):
    given, told = REFUSED[name]
    with DigitClient(fake.grpc) as client, pytest.raises(BadRequest, match=told) as caught:
        client.predict(given)
    assert "expected" in str(caught.value) or "use predict_bytes" in str(caught.value)
    assert fake.asked == []


@pytest.mark.parametrize(
    "options",
    [
        *({"timeout": each} for each in (0, None, float("inf"), float("nan"))),
        *(
            {"target": each}
            for each in ("localhost:http", "localhost:0", "http://u:word@host", "host/path", "", 8500)
        ),
        *({"retries": -1}, {"chunk_images": 0}, {"version": 0}, {"version": "3"}, {"model": ""}),
        *({"transport": "http"}, {"ca_file": "/nowhere.pem"}),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options):
    for cls in (DigitClient, AsyncDigitClient):
        with pytest.raises(BadRequest, match="expected"):
            cls(**{"target": "localhost", **options})


def test_one_path_in_place_of_a_list_is_refused(client):
    with pytest.raises(BadRequest, match=r"write \[path\]"):
        client.predict_files("seven.png")
    with pytest.raises(BadRequest, match=r"write \[picture\]"):
        client.predict_bytes(picture(7))
    with pytest.raises(BadRequest, match="picture 0 is a str"):
        client.predict_bytes(["seven.png"])
    with pytest.raises(BadRequest, match="on_error"):
        client.predict_bytes([], on_error="ignore")


def test_pixels_come_in_every_common_form():
    plain = np.arange(2 * 784, dtype=np.int64).reshape(2, 28, 28) % 256
    small = plain.astype(np.uint8)
    expected = small.tobytes()

    class Tensor:
        def __array__(self):
            return small

    forms = {
        "uint8": small,
        "int64": plain,
        "lists": plain.tolist(),
        "tuples": tuple(map(tuple, [map(tuple, image) for image in plain.tolist()])),
        "a list of arrays": list(small),
        "a list of rows that are arrays": [list(image) for image in small],
        "strided": np.repeat(small, 2, axis=2)[:, :, ::2],
        "Fortran order": np.asfortranarray(small),
        "read-only": np.frombuffer(expected, np.uint8).reshape(2, 28, 28),
        "memoryview": memoryview(expected).cast("B", (2, 28, 28)),
        "a list of Pillow images": [Image.fromarray(image) for image in small],
        "rows of bytes": [[bytes(row) for row in image.tolist()] for image in small],
        "rows of array": [[array.array("B", row) for row in image.tolist()] for image in small],
        "what turns into an array": Tensor(),
    }
    for name, form in forms.items():
        assert pixels(form) == expected, name
    assert pixels(Image.fromarray(small[0])) == expected[:784]
    assert pixels(plain[0].tolist()) == expected[:784]
    assert pixels([list(row) for row in small[0]]) == expected[:784]
    assert pixels(list(small[0])) == expected[:784]
