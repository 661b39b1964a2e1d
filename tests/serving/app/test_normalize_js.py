"""The page's normalisation of pixels beside the graph's: equal values. For photos see test_predict_js."""

import numpy as np
import tensorflow as tf

from bench.browser import scripted_page
from digits.ink import has_ink
from digits.model.canonicalize import canonicalize
from tests._digits import digits

CHECK = """
import { canonicalize, hasInk, scale } from "/static/canonicalize.js";

const apart = (made, wanted, at) => Math.max(...made.map((value, i) => Math.abs(value - wanted[at + i])));
const file = async (name) => (await fetch(`/test/${name}`)).arrayBuffer();
const values = async (name) => new Float32Array(await file(name));

export async function check() {
  const pixels = new Uint8Array(await file("pixels")), found = { canonical: 0, scaled: 0, ink: [] };
  const [canonical, scaled] = await Promise.all(["canonical", "scaled"].map(values));
  for (let at = 0; at < pixels.length; at += 784) {
    const image = pixels.subarray(at, at + 784);
    found.canonical = Math.max(found.canonical, apart(canonicalize(image), canonical, at));
    found.scaled = Math.max(found.scaled, apart(scale(image), scaled, at));
    found.ink.push(hasInk(image));
  }
  return found;
}
"""


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


def test_pixels_become_what_the_graph_makes_of_them_and_what_has_ink_has_ink_in_both(browser):
    pixels = images()
    arrays = {
        "pixels": pixels,
        "canonical": tf.function(canonicalize, autograph=False)(tf.constant(pixels)).numpy(),
        "scaled": (pixels / 255).astype(np.float32),
    }
    contents = {f"/test/{name}": array.tobytes() for name, array in arrays.items()}
    with scripted_page(browser, {"/check.js": CHECK.encode(), **contents}) as tab:
        found = tab.evaluate("import('/check.js').then(({ check }) => check())")
    assert max(found["canonical"], found["scaled"]) <= 1e-6
    assert found["ink"] == has_ink(tf.constant(pixels)).numpy().tolist()
    assert 100 < sum(found["ink"]) < len(found["ink"]) - 50
