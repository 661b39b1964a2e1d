"""One bad picture among good ones, files that are none, and how few requests that costs."""

import re

import pytest

from digits_client import BadRequest, Prediction
from tests.serving.client._fake import Refusal, picture

BAD = picture(0, b"bad")


def digits(answer):
    return [each.digit if isinstance(each, Prediction) else str(each) for each in answer]


@pytest.mark.parametrize("tells", [True, False], ids=["named by the server", "not named"])
@pytest.mark.parametrize("where", [0, 3, 6])
def test_a_bad_picture_costs_the_others_nothing(client, fake, tells, where):
    fake.tells_index = tells
    pictures = [picture(i) for i in range(7)]
    pictures[where] = BAD
    answer = client.predict_bytes(pictures, on_error="return")
    expected = list(range(7))
    whole = "expected a complete PNG or JPEG file of one digit"
    told = "is blank: expected ink" if tells else f"was refused (Invalid PNG data, size 60): {whole}"
    expected[where] = f"picture {where}: {told}"
    assert digits(answer) == expected
    assert answer.version == 3


def test_all_pictures_bad_is_all_errors_and_no_version(client, fake):
    answer = client.predict_bytes([BAD] * 5, on_error="return")
    assert [type(each) for each in answer] == [BadRequest] * 5
    assert answer.version is None
    assert len(fake.asked) <= 9  # a tree with five leaves


def test_by_default_the_bad_picture_is_raised_by_its_name(client, tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(BAD if i == 2 else picture(i))
    with pytest.raises(BadRequest, match=r"2\.png: is blank"):
        client.predict_files([tmp_path / f"{i}.png" for i in range(5)])


def test_a_server_that_counts_through_joined_requests_accuses_nobody_innocent(client, fake):
    fake.index_offset = 2  # says image_bytes[3] of the second of ours
    answer = client.predict_bytes([picture(0), BAD, picture(2), picture(3), picture(4)], on_error="return")
    assert [isinstance(each, BadRequest) for each in answer] == [False, True, False, False, False]


def test_a_refusal_for_a_strangers_picture_is_not_ours(client, fake):
    fake.faults = [Refusal("INVALID_ARGUMENT", "image_bytes[1] is blank")]
    assert digits(client.predict_bytes([picture(7), picture(8), picture(9)])) == [7, 8, 9]


FILES = {
    "missing": (None, "can't be read (No such file or directory)"),
    "empty": (b"", "is empty"),
    "gif": (b"GIF89a...", "is neither a PNG nor a JPEG file"),
}


@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_picture_is_refused_without_asking_the_server(
    client, fake, tmp_path, content, told
):
    bad, good = tmp_path / "bad.png", tmp_path / "good.jpg"
    if content is not None:
        bad.write_bytes(content)
    good.write_bytes(picture(6))
    answer = client.predict_files([bad, good], on_error="return")
    assert isinstance(answer[0], BadRequest)
    assert str(answer[0]).startswith(f"{bad}: {told}")
    assert digits(answer)[1:] == [6]
    assert [n for _, n, _ in fake.asked] == [1]
    with pytest.raises(BadRequest, match=re.escape(told)):
        client.predict_files([bad, good])


def test_a_file_far_too_large_is_not_read_to_its_end(client, fake, tmp_path):
    huge = tmp_path / "huge.png"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: takes no room
    with pytest.raises(BadRequest, match="more than 64 MiB"):
        client.predict_files([huge])
    assert fake.asked == []
