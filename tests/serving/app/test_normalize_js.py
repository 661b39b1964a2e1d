"""The page's normalisation beside the graph's: the same images, the same values."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bench.browser import scripted_page
from digits.export.parity import MANNERS
from digits.export.pictures import grey, normalize
from digits.ink import has_ink
from digits.model.canonicalize import canonicalize
from tests._digits import digits
from tests._pictures import kinds

PICTURES = 150
SIDES = (20, 300)  # pixels

ALL = """
import { canonicalize, hasInk, scale } from "/static/canonicalize.js";
import { normalize } from "/static/normalize.js";
import { levels } from "/static/picture.js";

const apart = (made, wanted, at) => Math.max(...made.map((value, i) => Math.abs(value - wanted[at + i])));
const file = async (name) => (await fetch(`/test/${name}`)).arrayBuffer();
const values = async (name) => new Float32Array(await file(name));

export async function check() {
  const pixels = new Uint8Array(await file("pixels"));
  const expected = await values("canonical"), shares = await values("scaled");
  const found = { apart: 0, scaled: 0, ink: [], pictures: [], canonical: 0 };
  for (let at = 0; at < pixels.length; at += 784) {
    const image = pixels.subarray(at, at + 784);
    found.apart = Math.max(found.apart, apart(canonicalize(image), expected, at));
    found.scaled = Math.max(found.scaled, apart(scale(image), shares, at));
    found.ink.push(hasInk(image));
  }
  const pictures = await file("pictures"), sizes = new DataView(pictures);
  const small = new Uint8Array(await file("small")), after = await values("small-canonical");
  for (let at = 0, n = 0; at < pictures.byteLength; n += 784) {
    const [width, height] = [sizes.getUint32(at, true), sizes.getUint32(at + 4, true)];
    const end = at + 8 + 4 * width * height;
    const made = normalize(levels(new Uint8Array(pictures.slice(at + 8, end))), width, height);
    found.pictures.push(apart(made, small, n));
    found.canonical = Math.max(found.canonical, apart(canonicalize(made), after, n));
    at = end;
  }
  return found;
}
"""


CANONICAL = tf.function(canonicalize, [tf.TensorSpec([None, 28, 28], tf.uint8)], autograph=False)
SMALL = tf.function(
    lambda file: normalize(grey(file, tf.constant(0), 10_000_000), tf.constant(0)),
    [tf.TensorSpec([], tf.string)],
    autograph=False,
)


def images():
    """Digits as they are, inverted, faint on grey, moved; and pictures that are no digit."""
    plain, _ = digits(400, seed=3)
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 2, (40, 4, 4)).repeat(7, 1).repeat(7, 2) * 255
    return np.concatenate(
        [
            *(plain[:100], 255 - plain[100:200], plain[200:300] // 4 + 90, np.roll(plain[300:], 4, 2)),
            *(rng.integers(0, 256, (100, 28, 28)), blocks),
            [np.full((28, 28), level) for level in (0, 1, 128, 255)],
            np.eye(28)[None] * [[[7]], [[30]], [[255]]],
            np.eye(784)[:53].reshape(-1, 28, 28) * 255,
        ]
    ).astype(np.uint8)


def photos():
    """PICTURES files, PNG and JPEG, light or dark, grey or in colour, of many sizes; some of `_pictures`."""
    plain, _ = digits(PICTURES, seed=4)
    smallest, largest = SIDES
    sides = [smallest + row * 271 % (largest - smallest) for row in range(PICTURES)]
    manners = list(MANNERS.values())
    made = [manners[row % len(manners)](plain[row], sides[row]) for row in range(PICTURES)]
    others = kinds(plain[0])
    for name in ("16 bit", "cmyk jpeg", "animated"):  # decoded otherwise by what stands in for a canvas here
        others.pop(name)
    return [*made, *others.values()]


def as_canvas(file):
    """Width, height and RGBA bytes, as a canvas gives them."""
    with Image.open(io.BytesIO(file)) as picture:
        return struct.pack("<II", *picture.size) + np.asarray(picture.convert("RGBA")).tobytes()


@pytest.fixture(scope="module")
def compared(browser):
    pixels, files = images(), photos()
    small = np.stack([SMALL(tf.constant(file)).numpy() for file in files])
    arrays = {
        "pixels": pixels,
        "canonical": CANONICAL(tf.constant(pixels)).numpy(),
        "scaled": (pixels / 255).astype(np.float32),
        "small": small,
        "small-canonical": CANONICAL(tf.constant(small)).numpy(),
    }
    contents = {f"/test/{name}": array.tobytes() for name, array in arrays.items()}
    contents["/test/pictures"] = b"".join(map(as_canvas, files))
    with scripted_page(browser, {"/check.js": ALL.encode(), **contents}) as tab:
        found = tab.evaluate("import('/check.js').then(({ check }) => check())")
    return found | {"expected ink": has_ink(tf.constant(pixels)).numpy().tolist(), "files": len(files)}


def test_pixels_become_what_the_graph_makes_of_them_and_what_has_ink_has_ink_in_both(compared):
    assert compared["apart"] <= 1e-6
    assert compared["scaled"] <= 1e-6
    assert compared["ink"] == compared["expected ink"]
    assert 100 < sum(compared["ink"]) < len(compared["ink"]) - 50


def test_photos_become_what_the_graph_makes_of_them(compared):
    assert len(compared["pictures"]) == compared["files"] >= PICTURES
    apart = np.array(compared["pictures"])
    assert np.mean(apart == 0) >= 0.99, f"{np.sum(apart > 0)} of {len(apart)} differ, by up to {apart.max()}"
    assert apart.max() <= 1, "one of 255 grey levels, where a level lies between two"
    assert compared["canonical"] <= (1e-6 if apart.max() == 0 else 0.02)
