"""Lines of writing: pixels in every form, pictures, and what is refused."""

import re

import numpy as np
import pytest

from digits_client import BadRequest, ServingError
from digits_client.codec import Lines
from digits_client.results import LineOutputs, line_predictions
from tests.serving.client._fake import SURE, line_rows, picture


def line(digit, width):
    made = np.full((32, width), 9, np.uint8)
    made[0, 0] = digit
    return made


LINES = [line(3, 112), line(7, 5), line(1, 2048), line(4, 64)]


def test_lines_of_any_widths_and_forms_are_read_in_their_order_and_one_is_a_batch_of_one(client):
    answer = client.predict_lines(LINES)
    assert [each.text for each in answer] == ["3112", "75", "12048", "464"]
    assert [len(each.columns) for each in answer] == [28, 2, 512, 16]
    one = answer[0]
    assert (one.written, one.confidence, one.accepted, answer.version) == ("3.112", SURE, True, 3)
    assert [each.digit for each in one.characters] == [3, None, 1, 1, 2]
    assert [each.position for each in one.characters] == [2.0, 6.0, 10.0, 14.0, 18.0]
    assert one.columns[0] == tuple(SURE if i == 3 else 0.0 for i in range(12))
    assert list(client.predict_lines([])) == []
    pair = [line(3, 40), line(7, 40)]
    strided = np.repeat(np.stack(pair), 2, axis=2)[:, :, ::2]
    for form in (np.stack(pair), strided, [each.tolist() for each in pair], list(map(memoryview, pair))):
        assert [each.text for each in client.predict_lines(form)] == ["340", "740"]
    for one in (pair[0], pair[0].tolist()):
        assert [each.text for each in client.predict_lines(one)] == ["340"]


WRONG = [
    ([line(3, 40)[1:]], "line 0 of shape [31, 40]"),
    ([LINES[0], np.zeros((32, 2049), np.uint8)], "line 1 of shape [32, 2049]"),
    ([np.zeros((32, 0), np.uint8)], "line 0 of shape [32, 0]"),
    (np.zeros((1, 32, 40, 3), np.uint8), "lines of shape [1, 32, 40, 3]"),
    ([line(3, 40) / 255], "line 0 of floats"),
    ([[[0] * 40] * 31 + [[0] * 39]], "line 0 has 32 rows of 39, 40 numbers"),
    ([[[0] * 40] * 31 + [[256] * 40]], "row 31 of line 0 holds 256"),
    *(([file], "use predict_line_pictures") for file in (b"\x89PNG\r\n\x1a\n", "line.png")),
    (None, "lines given as NoneType"),
]


def test_what_is_no_line_is_refused_without_asking_the_server(client, fake):
    for given, told in WRONG:
        with pytest.raises(BadRequest, match=re.escape(told)):
            client.predict_lines(given)
    assert fake.asked == []


def test_requests_have_64_lines_at_most_and_like_widths_together(client, fake):
    many = [line(i % 10, 40 if i % 2 else 400) for i in range(150)]
    answer = client.predict_lines(many)
    assert [each.text for each in answer] == [f"{i % 10}{40 if i % 2 else 400}" for i in range(150)]
    assert [n for signature, n, _ in fake.asked if signature == "lines"] == [64, 64, 22]
    assert {version for _, _, version in fake.asked[1:]} <= {3}


def test_lines_are_filled_up_at_the_right():
    inputs = Lines([bytes(range(1, 65)), bytes(range(100, 196))], [2, 3]).inputs
    filled = np.frombuffer(inputs["lines"].values, np.uint8).reshape(inputs["lines"].shape)
    assert filled.shape == (2, 32, 3) and inputs["width"].values == [2, 3]
    assert (filled[0, :, :2] == np.arange(1, 65).reshape(32, 2)).all() and not filled[0, :, 2].any()
    assert (filled[1] == np.arange(100, 196).reshape(32, 3)).all()


def test_pictures_are_files_or_bytes_and_a_bad_one_costs_the_others_nothing(client, fake, tmp_path):
    (tmp_path / "7.png").write_bytes(picture(7))
    sources = [tmp_path / "7.png", picture(3), picture(0, b"bad"), str(tmp_path / "none.png"), picture(5)]
    answer = client.predict_line_pictures(sources, on_error="return")
    told = [str(each) if isinstance(each, BadRequest) else each.text for each in answer]
    assert told[:3] == ["740", "340", "picture 2: is blank: expected ink"] and told[4] == "540"
    assert told[3].startswith(f"{tmp_path}/none.png: can't be read")
    assert {signature for signature, *_ in fake.asked} == {"lines_encoded"}
    with pytest.raises(BadRequest, match="picture 2: is blank"):
        client.predict_line_pictures(sources[:3])
    for wrong in ("one.png", picture(1), [5]):
        with pytest.raises(BadRequest, match="expected a"):
            client.predict_line_pictures(wrong)


def test_a_version_without_lines_is_one_clear_error(client, fake):
    fake.reads_lines, told = False, r"reads no lines .*publish and promote a new version"
    for ask in (lambda: client.predict_lines(LINES), lambda: client.predict_line_pictures([picture(3)])):
        with pytest.raises(ServingError, match=told) as refused:
            ask()
        assert not isinstance(refused.value, BadRequest)


def outputs(**changes):
    (row,) = line_rows([3], [40], 48)
    return LineOutputs(**{name: [value] for name, value in (row | changes).items()})


def test_an_answer_that_breaks_the_contract_is_refused():
    (read,) = line_predictions(outputs(), 1)
    assert (read.text, len(read.columns), len(read.characters)) == ("340", 10, 4)
    with pytest.raises(ValueError, match="for 2 lines"):
        line_predictions(outputs(), 2)
    unknown_class = [12, 10, 4, 0] + [-1] * 20
    for broken in (
        *({"text": "41"}, {"written": None}, {"text": "3x", "written": "3.x"}, {"length": 25}),
        *({"length": 2.5}, {"character": unknown_class}, {"position": [2.0]}, {"accepted": 1}),
        *({"probability": ["much"] * 24}, {"confidence": float("nan")}, {"columns": [[0.0] * 11] * 12}),
        *({"column_count": 13}, {"column_count": 0}),  # more than there are, and none
    ):
        with pytest.raises(ValueError):
            line_predictions(outputs(**broken), 1)
            pytest.fail(f"{broken} was taken")
