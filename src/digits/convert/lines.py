"""The line network in the formats for phones and browsers, and how each compares with the exported model.

A file takes one line of WIDTH pixels and how many of these are the line's, since phones want shapes known
beforehand; what lies right of them changes no answer. It gives the columns' probabilities. Making text and
confidence of these is the caller's part: digits.line_model.decoding, or decoding.js in a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import wire
from digits.convert import tfjs, tflite
from digits.convert.formats import Ask, Comparison, Made
from digits.line_model import decoding
from digits.line_model.lines import HEIGHT, SEPARATOR, STEP, Lines, digits_of

WIDTH = 256  # pixels: eight times a line's height; training's widest lines have 160
PREFIX = "lines-"  # of a format's name, and of its files


def names() -> tuple[str, ...]:
    """Of the formats, in the order in which they are made."""
    return tuple(f"{PREFIX}{form}" for form in ("float32", "float16", "tfjs"))


def make(name: str, model: keras.Model, kernels: str) -> Made:
    """One of `names`, as digits.convert.formats.make; its `ask` takes uint8 [n, 32, w], w at most WIDTH.

    TFLite's files take uint8 [1, 32, 256]; TensorFlow.js has no uint8, and takes the same as float32.
    """

    def columns(lines: Any, width: Any) -> dict[str, Any]:
        logits = model([tf.cast(lines, tf.uint8), width], training=False)
        return {wire.COLUMNS: tf.nn.softmax(logits)}

    def inputs(dtype: Any) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([1, HEIGHT, WIDTH], dtype, name=wire.LINE_IMAGES),
            tf.TensorSpec([1], tf.int32, name=wire.WIDTH),
        ]

    form = name.removeprefix(PREFIX)
    if form == "tfjs":
        graph = tfjs.graph_of(
            lambda *given: columns(*given)[wire.COLUMNS], inputs(tf.float32), wire.COLUMNS, kernels
        )
        read = tfjs.load(graph)
        ask = _one_by_one(lambda line, width: read(line.astype(np.float32), width))
        return Made({f"{name}/{path}": content for path, content in graph.items()}, ask, True, here=False)
    content = tflite.float_file(columns, inputs(tf.uint8), model.variables, form)
    runner = tflite.interpreter(content).get_signature_runner()
    ask = _one_by_one(lambda line, width: runner(lines=line, width=width)[wire.COLUMNS])
    return Made({f"{name}.tflite": content}, ask, True, here=True)


def _one_by_one(read: Callable[[NDArray[np.uint8], NDArray[np.int32]], NDArray[np.float32]]) -> Ask:
    """read: takes a line uint8 [1, 32, WIDTH] and its width, int32 [1]."""

    def ask(lines: NDArray[Any]) -> NDArray[np.float32]:
        width = np.array([lines.shape[2]], np.int32)
        filled = np.pad(lines, ((0, 0), (0, 0), (0, WIDTH - lines.shape[2])))
        columns = [read(filled[row : row + 1], width) for row in range(len(filled))]
        return np.concatenate(columns)[:, : -(-lines.shape[2] // STEP)]

    return ask


def compare(
    columns: Sequence[NDArray[np.float32]],
    expected: Sequence[Mapping[str, NDArray[Any]]],
    known: Sequence[Lines],
    fit: Mapping[str, float],
) -> Comparison:
    """A format's columns of lines, by width, beside the exported model's answers; figures as for images.

    fit: of `answer`.
    """
    read = [_read(each, fit) for each in columns]
    texts = [text for each, _ in read for text in each]
    before = [text.decode() for each in expected for text in each[wire.TEXT]]
    truth = [digits_of(said) for lines in known for said in lines.characters()]
    accepted = [sure for _, each in read for sure in each]
    accepted_before = [sure for each in expected for sure in each[wire.ACCEPTED]]
    right, right_before = np.mean(_same(texts, truth)), np.mean(_same(before, truth))
    apart = [np.abs(a - b[wire.COLUMNS]).max() for a, b in zip(columns, expected, strict=True)]
    return Comparison(
        agreement=float(np.mean(_same(texts, before))),
        accuracy=float(right),
        points_lost=100 * float(right_before - right),
        difference=float(np.max(apart)),
        same_acceptance=float(np.mean(_same(accepted, accepted_before))),
    )


def _same(ours: Sequence[Any], theirs: Sequence[Any]) -> list[bool]:
    return [bool(one == other) for one, other in zip(ours, theirs, strict=True)]


def _read(columns: NDArray[np.float32], fit: Mapping[str, float]) -> tuple[list[str], list[bool]]:
    """The digits of lines of one width, and whether they are accepted, as the exported model has it."""
    count = tf.fill([len(columns)], columns.shape[1])
    found = decoding.characters(tf.constant(columns), count)
    likely = decoding.likelihood(tf.math.log(tf.maximum(columns, 1e-37)), count, found)
    confidence = tf.sigmoid(fit["slope"] * likely + fit["offset"])
    digits = tf.reduce_any((found.character >= 0) & (found.character != SEPARATOR), 1)
    accepted = (confidence >= fit["threshold"]) & digits & found.complete
    return [text.decode() for text in decoding.text(found.character).numpy()], accepted.numpy().tolist()


def answer(record: Mapping[str, Any]) -> dict[str, float]:
    """What a caller needs for a line's text and confidence, from the provenance of an export."""
    fit = record["metrics"]["lines"]["fit"]
    return {"width": WIDTH, **{name: float(fit[name]) for name in ("slope", "offset", "threshold")}}
