"""The model in a page: in a real headless Chromium it answers as the exported signatures do."""

import json

import numpy as np
import pytest
import tensorflow as tf

from bench.browser import scripted_page
from digits import wire
from digits.export.parity import MANNERS
from tests._digits import digits
from tests._pictures import encode, kinds, page
from tests.serving.app.conftest import ANSWER

ASK = """async (count) => {
  const plain = ({ probabilities, ...rest }) => ({ ...rest, probabilities: Array.from(probabilities) });
  const told = async (act) => {
    try {
      return await act();
    } catch (error) {
      return [error.constructor.name, error.message];
    }
  };
  const { load } = await import("/static/predict.js");
  const model = await load("/edge");
  const pixels = new Uint8Array(await (await fetch("/test/pixels")).arrayBuffer());
  const answers = [], times = [];
  for (let at = 0; at < pixels.length; at += 784) {
    const began = performance.now();
    answers.push(plain(model.predict(pixels.subarray(at, at + 784))));
    times.push(performance.now() - began);
  }
  const pictures = [];
  for (let i = 0; i < count; i++) {
    pictures.push(plain(await model.read(await (await fetch(`/test/pictures/${i}`)).blob())));
  }
  const refused = {};
  for (const name of ["blank", "pdf", "cut", "huge"]) {
    refused[name] = await told(async () => model.read(await (await fetch(`/test/refused/${name}`)).blob()));
  }
  refused.few = await told(() => model.predict(new Uint8Array(10)));
  refused.shares = await told(() => model.predict(new Float32Array(784).fill(0.5)));
  refused.elsewhere = await told(() => load("/nowhere"));
  refused.strange = await told(() => load("/strange"));
  const median = times.sort((a, b) => a - b)[times.length >> 1];
  const { scale } = await import("/static/canonicalize.js");
  const scaled = Array.from(scale(pixels.subarray(0, 784)));
  return { backend: model.backend, answers, pictures, refused, median, scaled };
}"""


@pytest.fixture(scope="module")
def images():
    """Digits as they are, inverted, faint on grey, moved; and what is no digit, the last one empty."""
    plain, _ = digits(160, seed=12)
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 2, (10, 4, 4)).repeat(7, 1).repeat(7, 2) * 255
    return np.concatenate(
        [
            *(plain[:40], 255 - plain[40:80], plain[80:120] // 4 + 90, np.roll(plain[120:], 4, 2)),
            *(rng.integers(0, 256, (20, 28, 28)), blocks, np.eye(28)[None] * [[[7]], [[30]], [[255]]]),
            np.eye(784)[:20].reshape(-1, 28, 28) * 255,
            [np.full((28, 28), level) for level in (255, 1, 0)],
        ]
    ).astype(np.uint8)


@pytest.fixture(scope="module")
def photos():
    plain, _ = digits(40, seed=13)
    makers = list(MANNERS.values())
    made = [makers[row % len(makers)](image, 60 + 7 * row) for row, image in enumerate(plain)]
    turned = page(plain[0], 90, (0.9, 0.1)).convert("RGB")
    exif = turned.getexif()
    exif[0x0112] = 6
    return [*made, *kinds(plain[0]).values(), encode(turned, "JPEG", exif=exif)]


@pytest.fixture(scope="module")
def files(network, images, photos):
    whole = encode(page(digits(1, 5)[0][0]))
    refused = {
        "blank": encode(page(np.zeros((28, 28), np.uint8))),
        "pdf": b"%PDF-1.7",
        "cut": whole[: len(whole) // 2],
        "huge": whole[:16] + (20_000).to_bytes(4) + (10_000).to_bytes(4) + whole[24:],
    }
    return {
        "/strange/answer.json": json.dumps(ANSWER | {"normalization": "other"}).encode(),
        "/test/pixels": images.tobytes(),
        **{f"/edge/{name}": data for name, data in network.edge.items()},
        **{f"/test/pictures/{i}": data for i, data in enumerate(photos)},
        **{f"/test/refused/{name}": data for name, data in refused.items()},
    }


@pytest.fixture(scope="module")
def found(browser, files, photos):
    with scripted_page(browser, files) as tab:
        return tab.evaluate(ASK, len(photos))


@pytest.fixture(scope="module")
def expected(network, images):
    answers = network.served[wire.PIXELS](tf.constant(images))
    return {name: answers[name].numpy() for name in wire.OUTPUTS[wire.PIXELS]}


def table(answers, name):
    return np.array([answer[name] for answer in answers])


def test_pixels_get_the_answer_of_the_exported_signature(found, expected, images):
    answers = found["answers"]
    assert np.abs(table(answers, wire.PROBABILITIES) - expected[wire.PROBABILITIES]).max() <= 1e-4
    assert (table(answers, wire.DIGIT) == expected[wire.DIGIT]).all()
    assert table(answers, wire.CONFIDENCE) == pytest.approx(expected[wire.CONFIDENCE], abs=1e-4)
    near = np.abs(expected[wire.CONFIDENCE] - ANSWER["threshold"]) < 1e-4
    assert (table(answers, wire.ACCEPTED) == expected[wire.ACCEPTED])[~near].all()
    assert 0 < expected[wire.ACCEPTED].sum() < len(answers)
    assert not any(answer["accepted"] for answer in answers[-23:]), "dots and bare paper are no digits"
    assert found["scaled"] == pytest.approx((images[0] / 255).ravel().tolist(), abs=1e-6)
    assert found["backend"] == "wasm" and found["median"] <= 5, "milliseconds, under a strict policy"


def test_photos_get_the_digit_of_the_exported_signature(found, network, photos):
    answers = network.served[wire.ENCODED](tf.constant(photos))
    probabilities = answers[wire.PROBABILITIES].numpy()
    apart = np.abs(table(found["pictures"], wire.PROBABILITIES) - probabilities).max(axis=1)
    assert np.mean(apart <= 1e-3) >= 0.95, apart.round(4).tolist()
    assert np.mean(table(found["pictures"], wire.DIGIT) == answers[wire.DIGIT].numpy()) >= 0.98


@pytest.mark.slow
def test_where_webassembly_is_barred_plain_javascript_answers_alike(browser, files, expected):
    with scripted_page(browser, files, policy="default-src 'self'; script-src 'self'") as tab:
        found = tab.evaluate(ASK, 0)
    assert found["backend"] == "cpu"
    assert np.abs(table(found["answers"], wire.PROBABILITIES) - expected[wire.PROBABILITIES]).max() <= 1e-4


WHY = {
    "blank": ("Blank", "the picture is blank"),
    "pdf": ("Unreadable", "neither a PNG nor a JPEG"),
    "cut": ("Unreadable", "damaged"),
    "huge": ("Unreadable", "20000 pixels wide and 10000 high"),
    "few": ("RangeError", "28 × 28 pixels, not 10"),
    "shares": ("RangeError", "integers from 0 to 255"),
    "elsewhere": ("Unusable", "is not there (404)"),
    "strange": ("Unusable", "does not say how the model answers"),
}


def test_what_cant_be_answered_says_why(found):
    for what, (kind, words) in WHY.items():
        refusal = found["refused"][what]
        assert refusal[0] == kind and words in refusal[1]
