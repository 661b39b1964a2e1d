"""The signatures of lines, saved and served as model servers do: names, guards, pictures, padding."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from digits import wire
from digits.export.admission import LineFit
from digits.export.lines import MOST_COLUMNS, endpoints
from digits.export.warmup import encoded, joined
from digits.line_model import lines as line_model
from tests._pictures import encode, hostile
from tests._release import line_reader
from tests._release import lines as drawn_lines
from tests.export._called import asking, line_endpoints, save

LINES = [line for width, n in ((29, 2), (64, 1), (101, 1)) for line in drawn_lines(width, n).images]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    model = line_reader()
    return asking(save(tmp_path_factory.mktemp("lines") / "1", line_endpoints(model), model))


def test_padding_changes_no_answer_and_pictures_answer_as_their_pixels_do(ask):
    """Alone, beside wider ones, and in a larger batch that was filled up with anything."""
    filled, width = joined(LINES)
    noise = np.random.default_rng(1).integers(0, 256, (len(LINES), 32, 230), dtype=np.uint8)
    for row, line in enumerate(LINES):
        noise[row, :, : line.shape[1]] = line
    together, wider = ask(wire.LINES, filled, width), ask(wire.LINES, noise, width)
    for row, line in enumerate(LINES):
        alone = ask(wire.LINES, line[np.newaxis], [line.shape[1]])
        count = -(-line.shape[1] // 4)
        for beside in (together, wider):
            assert beside[wire.COLUMN_COUNT][row] == alone[wire.COLUMN_COUNT][0] == count
            mine = {name: value[row : row + 1] for name, value in beside.items()}
            assert_alike(mine | {wire.COLUMNS: mine[wire.COLUMNS][:, :count]}, alone)
    by_file = ask(wire.LINES_ENCODED, [encoded(line) for line in LINES])
    assert_alike(ask(wire.LINES, *joined(LINES)), by_file)


def assert_alike(answers, others):
    for name, value in answers.items():
        if value.dtype == np.float32:
            assert value == pytest.approx(others[name], abs=1e-5), name
        else:
            assert (value == others[name]).all(), name


def test_the_characters_are_those_of_the_text_and_lie_in_the_line(ask):
    answers = ask(wire.LINES, *joined(LINES))
    assert len(set(answers[wire.TEXT].tolist())) > 1 and all(answers[wire.LENGTH] > 1)
    for row, line in enumerate(LINES):
        n = answers[wire.LENGTH][row]
        character = answers[wire.CHARACTER][row]
        assert "".join(map(str, character[:n][character[:n] < 10])) == answers[wire.TEXT][row].decode()
        assert all(character[n:] == -1)
        place = answers[wire.POSITION][row]
        assert all(np.diff(place[:n]) > 0) and place[0] > 0 and place[n - 1] < line.shape[1] + 4
        assert all((answers[wire.PROBABILITY][row, :n] > 0) & (answers[wire.PROBABILITY][row, :n] <= 1))
    assert answers[wire.COLUMNS].sum(2) == pytest.approx(np.ones(answers[wire.COLUMNS].shape[:2]), abs=1e-5)


def fixed(classes, fit, sure=20.0):
    """Answers of a network that reads these classes, one a column."""
    logits = sure * tf.one_hot([classes], 12)
    made = endpoints(lambda *_: logits, fit, 100)
    width = 4 * len(classes)
    return made[wire.LINES](tf.zeros([1, 32, width], tf.uint8), tf.constant([width]))


@pytest.mark.parametrize(
    ("classes", "threshold", "accepted"),
    [
        ([1, 11, 10, 2], 0.9, True),
        ([1, 11, 10, 2], wire.NEVER, False),
        ([11, 11], 0.0, False),
        ([11, 10, 11], 0.0, False),
        ([1, 2] * 12, 0.0, True),
        ([1, 2] * 12 + [3], 0.0, False),
    ],
    ids=["sure", "not enough", "nothing", "a separator", "24 characters", "25 characters"],
)
def test_a_line_is_accepted_that_has_digits_not_too_many_and_confidence(classes, threshold, accepted):
    answers = fixed(classes, LineFit(1.0, 5.0, threshold))
    assert answers[wire.ACCEPTED].numpy().tolist() == [accepted]


def test_the_confidence_follows_from_the_likelihood_of_the_text():
    answers = fixed([1, 11], LineFit(0.5, 2.0, 0.5), sure=np.log(9.0))
    # A column's class has 0.45, the others 0.05 each; 1 is said by 1 and blank, blank and 1, or 1 and 1.
    likelihood = 0.45 * 0.45 + 0.05 * 0.05 + 0.45 * 0.05
    expected = 1 / (1 + np.exp(-(0.5 * np.log(likelihood) + 2.0)))
    assert answers[wire.CONFIDENCE].numpy() == pytest.approx([expected], abs=1e-5)


def test_a_picture_of_any_size_is_brought_to_32_rows_and_turned_upright(ask):
    page = Image.fromarray(LINES[3]).resize((505, 160), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = page.transpose(Image.Transpose.ROTATE_90)
    small = Image.fromarray(LINES[2][::2, ::2])
    files = [encode(page), encode(stored, "JPEG", exif=exif, quality=95), encode(small)]
    files.append(encode(Image.new("RGB", (20, 400), (200, 190, 180))))
    answers = ask(wire.LINES_ENCODED, files)
    counts = [-(-width // 4) for width in (101, 101, 64, 2)]
    assert answers[wire.COLUMN_COUNT].tolist() == counts
    upright, turned = answers[wire.COLUMNS][:2, : counts[0]]
    assert np.abs(upright - turned).mean() < 0.1
    assert answers[wire.TEXT][3] in (b"", *map(str.encode, "0123456789"))


def test_every_width_is_answered(ask):
    for width in (1, 2, 3, 4, 5, 2048):
        line = np.resize(LINES[0], (1, 32, width))
        assert ask(wire.LINES, line, [width])[wire.COLUMN_COUNT].tolist() == [-(-width // 4)]


REFUSED = {
    "rows": (np.zeros((2, 31, 40), np.uint8), [40, 40], r"31"),
    "too wide": (np.zeros((1, 32, 2049), np.uint8), [40], "2049 pixels wide, expected at most 2048"),
    "too many": (
        np.zeros((MOST_COLUMNS // 2048 + 1, 32, 2048), np.uint8), [1] * (MOST_COLUMNS // 2048 + 1),
        "65 lines of 2048 pixels are too many at once",
    ),
    "no width": (np.zeros((2, 32, 40), np.uint8), [40], "width has 1 numbers for 2 lines"),
    "width 0": (np.zeros((2, 32, 40), np.uint8), [40, 0], r"width\[1\] is 0, expected 1 to 40"),
    "width beyond": (np.zeros((3, 32, 40), np.uint8), [40, 41, 0], r"width\[1\] is 41, expected 1 to 40"),
    "no pixels": (np.zeros((1, 32, 0), np.uint8), [1], r"width\[0\] is 1, expected 1 to 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_inputs_that_do_not_fit_are_refused_with_the_row(ask, name):
    *inputs, reason = REFUSED[name]
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError), match=reason):
        ask(wire.LINES, *inputs)


def test_a_picture_that_is_no_line_is_refused_by_its_row(ask):
    good = encoded(LINES[0])
    for file, reason in (
        (encode(Image.new("L", (130, 2))), r"image_bytes\[1\] is 130 pixels wide and 2 high, which is too"),
        (b"GIF89a", r"image_bytes\[1\] is neither a PNG nor a JPEG"),
        (hostile()["cut png"][0], "Invalid PNG data"),
        (encode(Image.new("L", (1001, 1000))), r"image_bytes\[1\] is 1001 pixels wide"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            ask(wire.LINES_ENCODED, [good, file])


def test_the_contract_has_the_line_readers_sizes():
    mine = (wire.HEIGHT, wire.COLUMN, wire.LONGEST)
    assert mine == (line_model.HEIGHT, line_model.COLUMN, line_model.LONGEST)
