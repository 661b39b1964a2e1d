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
    assert [type(each) for each in answer] == [BadRequest] * 5 and answer.version is None
    assert len(fake.asked) <= 9  # a tree with five leaves


def test_by_default_the_bad_picture_is_raised_by_its_name(client, tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(BAD if i == 2 else picture(i))
    with pytest.raises(BadRequest, match=r"2\.png: is blank"):
        client.predict_files([tmp_path / f"{i}.png" for i in range(5)])


def test_a_server_that_joins_requests_refuses_no_good_picture_of_ours_for_a_bad_one(client, fake):
    fake.index_offset = 2  # says image_bytes[3] of the second of ours
    answer = client.predict_bytes([picture(0), BAD, picture(2), picture(3), picture(4)], on_error="return")
    assert [isinstance(each, BadRequest) for each in answer] == [False, True, False, False, False]

    fake.index_offset = 0
    fake.faults = [Refusal("INVALID_ARGUMENT", "image_bytes[1] is blank")]
    assert digits(client.predict_bytes([picture(7), picture(8), picture(9)])) == [7, 8, 9]


FILES = {
    "missing": "can't be read (No such file or directory)",
    "empty": "is empty",
    "gif": "is neither a PNG nor a JPEG file",
    "huge": "has more than 64 MiB",
}


def test_a_file_that_is_no_picture_is_refused_without_asking_the_server_or_reading_a_huge_one(
    client, fake, tmp_path
):
    good = tmp_path / "good.jpg"
    good.write_bytes(picture(6))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "gif").write_bytes(b"GIF89a...")
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: takes no room
    for name, told in FILES.items():
        bad = tmp_path / name
        answer = client.predict_files([bad, good], on_error="return")
        assert isinstance(answer[0], BadRequest) and str(answer[0]).startswith(f"{bad}: {told}")
        assert digits(answer)[1:] == [6]
        with pytest.raises(BadRequest, match=re.escape(told)):
            client.predict_files([bad, good])
    assert [n for _, n, _ in fake.asked] == [1] * len(FILES)
