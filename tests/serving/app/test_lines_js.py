"""The line reader in a page: in a real headless Chromium it reads lines as the exported signatures do."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bench.browser import scripted_page
from digits import wire
from digits.export.admission import LineFit
from digits.export.lines import endpoints
from digits.line_model.lines import COLUMN
from tests._pictures import encode
from tests._release import lines
from tests.serving.app.conftest import LINES

ASK = """async ({ counts, pictures, fit }) => {
  const plain = ({ characters, ...rest }) => ({ ...rest, characters: Array.from(characters) });
  const { decode } = await import("/static/decoding.js");
  const columns = new Float32Array(await (await fetch("/test/columns")).arrayBuffer());
  const answers = [];
  let at = 0;
  for (const count of counts) answers.push(plain(decode(columns.subarray(at, (at += 12 * count)), fit)));
  const { load } = await import("/static/lines.js");
  const reader = await load("/edge");
  const read = [];
  for (let i = 0; i < pictures; i++) {
    const file = await (await fetch(`/test/pictures/${i}`)).blob();
    read.push(await reader.read(file).then(plain, (error) => [error.constructor.name, error.message]));
  }
  return { answers, read, old: await load("/old").catch((error) => error.message) };
}"""


@pytest.fixture(scope="module")
def columns():
    """Of random lines, of lines that say nothing, too much, or separators alone."""
    rng = np.random.default_rng(4)
    made = [rng.dirichlet(np.full(COLUMN, 0.2), n).astype(np.float32) for n in (*range(1, 25), 60)]
    for classes in ([11] * 9, [10, 11, 10], [1, 11] * 30, [3, 3, 11, 3, 10, 4, 4]):
        made.append(
            (np.full((len(classes), COLUMN), 0.01) + 0.88 * np.eye(COLUMN)[classes]).astype(np.float32)
        )
    return made


@pytest.fixture(scope="module")
def pictures():
    """Of lines, high and low, dark and light; the last one is too long."""
    made = []
    for i, (width, high) in enumerate([(28, 32), (61, 96), (140, 163), (140, 20), (256, 96)]):
        (line,) = lines(width, 1, seed=width).images
        picture = Image.fromarray(line if i % 2 else 255 - line // 2)
        picture = picture.resize((width * high // 32, high), Image.Resampling.BICUBIC)
        made.append(encode(picture, "JPEG" if i % 2 else "PNG"))
    return [*made, encode(Image.new("L", (330, 40)))]


@pytest.fixture(scope="module")
def found(browser, network, columns, pictures):
    files = {
        "/test/columns": np.concatenate(columns).tobytes(),
        "/old/answer.json": network.edge["answer.json"].replace(b'"lines"', b'"other"'),
        **{f"/edge/{name}": data for name, data in network.edge.items()},
        **{f"/test/pictures/{i}": data for i, data in enumerate(pictures)},
    }
    asked = {"counts": [len(each) for each in columns], "pictures": len(pictures), "fit": LINES}
    with scripted_page(browser, files) as tab:
        return tab.evaluate(ASK, asked)


def same(ours, theirs, most):
    """Compare an answer of the page with a row of the signature's."""
    assert ours["text"].encode() == theirs[wire.TEXT] and ours["written"].encode() == theirs[wire.WRITTEN]
    assert ours["confidence"] == pytest.approx(theirs[wire.CONFIDENCE], abs=most)
    if abs(theirs[wire.CONFIDENCE] - LINES["threshold"]) > most:
        assert ours["accepted"] == theirs[wire.ACCEPTED]
    n = theirs[wire.LENGTH]
    assert [each["character"] for each in ours["characters"]] == theirs[wire.CHARACTER][:n].tolist()
    sure = [each["probability"] for each in ours["characters"]]
    assert sure == pytest.approx(theirs[wire.PROBABILITY][:n].tolist(), abs=most)


def rows(answers):
    return [
        {name: value.numpy()[row] for name, value in answers.items()}
        for row in range(len(answers[wire.TEXT]))
    ]


def test_columns_are_read_as_the_signature_reads_them(found, columns):
    """The network here gives logits whose softmax are these columns."""
    count = np.array([len(each) for each in columns], np.int32)
    logits = np.zeros((len(columns), count.max(), COLUMN), np.float32)
    for row, each in enumerate(columns):
        logits[row, : len(each)] = np.log(np.maximum(each, 1e-30))
    fit = LineFit(LINES["slope"], LINES["offset"], LINES["threshold"])
    ask = endpoints(lambda *_: tf.constant(logits), fit, 1000)[wire.LINES]
    answers = rows(ask(tf.zeros([len(columns), 32, 4 * count.max()], tf.uint8), tf.constant(4 * count)))
    for ours, theirs in zip(found["answers"], answers, strict=True):
        same(ours, theirs, 1e-4)
        places = [each["position"] for each in ours["characters"]]
        assert places == pytest.approx(theirs[wire.POSITION][: len(places)].tolist(), abs=1e-3)
    assert 0 < sum(theirs[wire.ACCEPTED] for theirs in answers) < len(columns)


def test_pictures_of_lines_get_the_text_and_confidence_of_the_exported_signature(found, network, pictures):
    answers = network.served[wire.LINES_ENCODED](tf.constant(pictures[:-1]))
    for ours, theirs in zip(found["read"], rows(answers), strict=False):
        same(ours, theirs, 5e-3)
        scale = ours["height"] / 32
        for character, position in zip(ours["characters"], theirs[wire.POSITION], strict=False):
            assert character["left"] < position * scale < character["right"]
    assert len({each["text"] for each in found["read"][:-1]}) >= 3


def test_what_cant_be_read_says_why(found):
    kind, words = found["read"][-1]
    assert kind == "TooLong" and "330 pixels wide and 40 high" in words and "up to 8 times" in words
    assert found["old"] == "this version has no reader of lines for browsers"
