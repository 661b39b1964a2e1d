"""What a person calls, over both transports, synchronously and in asyncio."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from digits_client import AsyncDigitClient, BadRequest, DigitClient, ModelNotFound, Prediction, ServingError
from digits_client import VersionStatus as Status
from digits_client.images import pixels
from tests.serving.client._fake import MAGIC, SURE, picture, shares


def images(*digits):
    made = np.zeros((len(digits), 28, 28), np.uint8)
    made[:, 0, 0] = digits
    return made


def test_pixels_are_answered_in_order_with_the_version_that_answered(client):
    answer = client.predict(images(4, 0, 9))
    assert answer.predictions == tuple(Prediction(d, SURE, tuple(shares(d))) for d in (4, 0, 9))
    assert [each.digit for each in answer] == [4, 0, 9] and answer[1].digit == 0
    assert (len(answer), answer.version) == (3, 3)
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


def test_many_go_in_chunks_bounded_by_count_and_bytes_and_come_back_in_order(connect, fake, transport):
    client = connect(fake.address(transport), chunk_images=5, chunk_bytes=100)
    digits = [i * 7 % 10 for i in range(13)]
    assert [p.digit for p in client.predict(images(*digits))] == digits
    sizes = [40, 40, 500, 40, 40, 40]  # the larger one goes alone
    pictures = [picture(i, b"." * (size - 9)) for i, size in enumerate(sizes)]
    assert [p.digit for p in client.predict_bytes(pictures)] == list(range(6))
    assert [n for _, n, _ in fake.asked] == [5, 5, 3, 2, 1, 2, 1]


def test_one_version_answers_all_chunks_though_another_is_promoted(connect, fake, transport):
    fake.on_predict = lambda: fake.versions.update({4: "AVAILABLE"})
    answer = connect(fake.address(transport), chunk_images=1).predict(images(1, 2, 3))
    assert answer.version == 3
    assert [version for _, _, version in fake.asked][1:] == [3, 3]
    fake.on_predict = lambda: fake.versions.pop(4, None)  # it leaves midway, and the call begins again
    answer = connect(fake.address(transport), chunk_images=1).predict(images(1, 2, 3))
    assert (answer.version, [p.digit for p in answer]) == (3, [1, 2, 3])


def test_a_version_that_was_asked_for_is_the_one_that_answers_and_what_is_unknown_is_named(
    connect, fake, transport
):
    fake.versions = {3: "AVAILABLE", 4: "AVAILABLE"}
    assert connect(fake.address(transport), version=3).predict(images(1)).version == 3
    assert connect(fake.address(transport)).predict(images(1)).version == 4
    with pytest.raises(ModelNotFound, match=re.escape("Specific(digits, 9)")):
        connect(fake.address(transport), version=9).predict(images(1))
    with pytest.raises(ModelNotFound, match="expected it to serve 'nix'"):
        connect(fake.address(transport), model="nix").predict(images(1))


def test_status_lists_versions_newest_first_health_is_whether_one_is_ready_and_closing_is_final(client, fake):
    fake.versions = {3: "AVAILABLE", 4: "END:no variables", 2: "UNLOADING"}
    states = Status(4, "END", "no variables"), Status(3, "AVAILABLE"), Status(2, "UNLOADING")
    assert client.status() == states
    assert client.health() is True, "a version is ready"
    for none in ({3: "LOADING"}, {}):
        fake.versions = none
        assert client.health() is False
    client.close()
    with pytest.raises(ServingError, match="closed"):
        client.predict(images(1))


@pytest.mark.parametrize("transport_name", ["grpc", "rest"])
def test_threads_and_tasks_may_share_a_client(transport_name, fake, runner):
    with DigitClient(fake.address(transport_name), transport_name) as shared, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda digit: shared.predict(images(digit)), range(10)))

    async def all_at_once():
        async with AsyncDigitClient(fake.address(transport_name), transport_name) as shared:
            return await asyncio.gather(*(shared.predict(images(digit)) for digit in range(10)))

    answers += runner.run(all_at_once())
    assert [answer[0].digit for answer in answers] == [*range(10)] * 2


@pytest.mark.parametrize("transport_name", ["grpc", "rest"])
def test_an_asyncio_client_says_that_it_belongs_to_another_event_loop(transport_name, fake, runner):
    client = AsyncDigitClient(fake.address(transport_name), transport_name)
    try:
        assert runner.run(client.health()) is True
        with asyncio.Runner() as other, pytest.raises(ServingError, match="another event loop"):
            other.run(client.health())
    finally:
        runner.run(client.close())


REFUSED = [
    (np.zeros((28, 28), np.float32), "floats"),
    ([[float("nan")] * 28] * 28, "floats"),
    (np.zeros((28, 28), bool), r"type '\?'"),
    ([[True] * 28] * 28, "booleans"),
    (np.zeros((2, 28, 28, 3), np.uint8), r"shape \[2, 28, 28, 3\]"),
    (np.full((28, 28), -1), "holds -1"),
    ([[0] * 27 + [256]] + [[0] * 28] * 27, "row 0 of image holds 256"),
    ([[[0] * 28] * 27 + [[0] * 29]], "image 0 has 28 rows of 28, 29 numbers"),
    (None, "given as NoneType"),
    (MAGIC + b"...", "predict_bytes"),
    ([["a"] * 28] * 28, "holds str"),
    (np.zeros((28, 28), ">i4"), "convert to uint8"),
]


def test_pixels_that_could_be_misread_are_refused_before_anything_is_sent(fake):
    with DigitClient(fake.grpc) as client:
        for given, told in REFUSED:
            with pytest.raises(BadRequest, match=told) as caught:
                client.predict(given)
            assert "expected" in str(caught.value) or "use predict_bytes" in str(caught.value)
    assert fake.asked == []


def test_options_that_make_no_sense_are_refused():
    targets = ("localhost:http", "localhost:0", "http://u:word@host", "", 8500)
    for options in (
        *({"timeout": each} for each in (0, None, float("nan"))),
        *({"target": each} for each in targets),
        *({"retries": -1}, {"chunk_images": 0}, {"version": 0}, {"model": ""}, {"transport": "http"}),
        {"ca_file": "/nowhere.pem"},
    ):
        for cls in (DigitClient, AsyncDigitClient):
            with pytest.raises(BadRequest, match="expected"):
                cls(**{"target": "localhost", **options})
                pytest.fail(f"{options} were taken")


def test_one_path_in_place_of_a_list_is_refused(client):
    with pytest.raises(BadRequest, match=r"write \[path\]"):
        client.predict_files("seven.png")
    with pytest.raises(BadRequest, match=r"write \[picture\]"):
        client.predict_bytes(picture(7))
    with pytest.raises(BadRequest, match="on_error"):
        client.predict_bytes([], on_error="ignore")


def test_pixels_come_in_every_common_form():
    plain = np.arange(2 * 784, dtype=np.int64).reshape(2, 28, 28) % 256
    small = plain.astype(np.uint8)
    expected = small.tobytes()

    forms = {
        "int64": plain,
        "lists": plain.tolist(),
        "a list of arrays": list(small),
        "a list of rows that are arrays": [list(image) for image in small],
        "strided": np.repeat(small, 2, axis=2)[:, :, ::2],
        "Fortran order": np.asfortranarray(small),
        "read-only": np.frombuffer(expected, np.uint8).reshape(2, 28, 28),
        "memoryview": memoryview(expected).cast("B", (2, 28, 28)),
        "a list of Pillow images": [Image.fromarray(image) for image in small],
        "rows of bytes": [[bytes(row) for row in image.tolist()] for image in small],
        "what turns into an array": SimpleNamespace(__array__=lambda: small),
    }
    for name, form in forms.items():
        assert pixels(form) == expected, name
    for one in (Image.fromarray(small[0]), plain[0].tolist(), list(small[0])):
        assert pixels(one) == expected[:784]
