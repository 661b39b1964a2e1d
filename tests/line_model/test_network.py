import numpy as np
import pytest
import tensorflow as tf

from digits.line_model import network
from digits.line_model.lines import COLUMN
from tests.lines._written import one_digit

RNG = np.random.default_rng(1)


def line(width):
    """A line with writing-like blots."""
    page = RNG.integers(180, 220, (32, width)).astype(np.uint8)
    for x in range(3, width - 3, 9):
        page[8:24, x : x + 3] = 40
    return page


def answer(model, lines):
    """The logits of each line, in a batch that is padded to the widest with what is no part of them."""
    widths = np.array([each.shape[1] for each in lines], np.int32)
    padded = np.full((len(lines), 32, widths.max()), 77, np.uint8)
    for row, each in zip(padded, lines, strict=True):
        row[:, : each.shape[1]] = each
    logits = model([tf.constant(padded), tf.constant(widths)], training=False).numpy()
    return [row[: -(-width // 4)] for row, width in zip(logits, widths, strict=True)]


@pytest.fixture(scope="module")
def models():
    made = {name: network.build(name, seed=3) for name in network.ARCHITECTURES}
    for model in made.values():  # batch norms that shift, as trained ones do: 0 would hide what leaks
        for weight in model.weights:
            if len(weight.shape) == 1:
                weight.assign(weight + tf.random.stateless_uniform(weight.shape, (1, 2), 0.1, 0.6))
    return made


@pytest.mark.parametrize("architecture", network.ARCHITECTURES)
def test_padding_changes_no_answer(models, architecture):
    lines = [line(width) for width in (40, 37, 5, 1, 96)]
    together = answer(models[architecture], lines)
    for each, beside in zip(lines, together, strict=True):
        (alone,) = answer(models[architecture], [each])
        assert alone.shape == beside.shape == (-(-each.shape[1] // 4), COLUMN)
        assert np.abs(alone - beside).max() < 1e-5 * max(1, np.abs(alone).max())


def test_the_seed_decides_the_weights():
    one, again, other = (network.build("tiny", seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def normalized(lines):
    layer = network.NormalizeLine(dtype="float32")
    return layer(tf.constant(lines), tf.fill([len(lines)], lines.shape[2])).numpy()


def test_polarity_and_contrast_are_taken_out_of_a_line_and_bare_paper_stays_near_0_whatever_its_level():
    dark = one_digit(np.arange(20), seed=1).images
    light, faint = 255 - dark, (dark * 0.2 + 120).astype(np.uint8)
    assert np.allclose(normalized(dark), normalized(light), atol=1e-5)
    assert np.abs(normalized(dark) - normalized(faint)).max() < 0.2 * normalized(dark).max()
    assert (np.abs(normalized(dark)).max(axis=(1, 2)) > 1).all()
    assert np.abs(normalized(np.full((1, 32, 40), 200, np.uint8))).max() < 1e-4
    grain = 200 + RNG.integers(0, 2, (1, 32, 40)).astype(np.uint8)
    assert np.abs(normalized(grain)).max() < 0.5
