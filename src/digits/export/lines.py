"""The served functions of lines in the wire contract, from the line network's logits.

As in digits.export.signatures, each begins with guards on its inputs: a shape that the network can't take
must fail one request, and not the server's process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from digits import wire
from digits.export.admission import LineFit
from digits.export.pictures import grey, refuse_unless
from digits.export.signatures import PARALLEL_PICTURES, Endpoint, shared
from digits.line_model import decoding
from digits.line_model.lines import HEIGHT, SEPARATOR, STEP, WIDEST

# Pixels along all lines of a request, the filled-up ones too: each takes 5 KB while the largest network reads
# it, so that a request takes 700 MB at most.
MOST_COLUMNS = 64 * WIDEST


def endpoints(logits: Callable[[Any, Any], Any], fit: LineFit, max_pixels: int) -> dict[str, Endpoint]:
    """Return the functions to export by signature name, of the inputs to a dictionary of named tensors.

    logits: a deterministic function of lines uint8 [n, 32, w] and their width, int32 [n], to float
    [n, ⌈w / 4⌉, 12]; n is never 0. max_pixels: larger pictures are refused undecoded.
    """

    @shared(wire.LINES)
    def answer(lines: Any, width: Any) -> dict[str, Any]:
        lines, width = _guarded(lines, width)
        n = tf.shape(lines)[0]
        # A blank line stands in for no line: the network and the likelihood fail on empty batches.
        spare = tf.cast(n == 0, tf.int32)
        some = tf.pad(lines, [[0, spare], [0, 0], [0, spare * STEP]])
        widths = tf.pad(width, [[0, spare]], constant_values=STEP)
        count = -(-widths // STEP)
        logarithms = tf.nn.log_softmax(tf.cast(logits(some, widths), tf.float32))
        columns = tf.exp(logarithms)
        found = decoding.characters(columns, count)
        confidence = tf.sigmoid(fit.slope * decoding.likelihood(logarithms, count, found) + fit.offset)
        digits = tf.reduce_any((found.character >= 0) & (found.character != SEPARATOR), 1)
        answers = {
            wire.TEXT: decoding.text(found.character),
            wire.WRITTEN: decoding.written(found.character),
            wire.CONFIDENCE: confidence,
            wire.ACCEPTED: (confidence >= fit.threshold) & digits & found.complete,
            wire.LENGTH: found.length,
            wire.CHARACTER: found.character,
            wire.PROBABILITY: found.probability,
            wire.POSITION: found.position,
            wire.COLUMNS: columns,
            wire.COLUMN_COUNT: count,
        }
        shapes = wire.OUTPUTS[wire.LINES]
        return {name: tf.ensure_shape(value[:n], shapes[name][1]) for name, value in answers.items()}

    def lines(lines: Any, width: Any) -> dict[str, Any]:
        return answer(lines, width)

    def encoded(image_bytes: Any) -> dict[str, Any]:
        return answer(*pictures(image_bytes, max_pixels))

    return {wire.LINES: lines, wire.LINES_ENCODED: encoded}


def _guarded(lines: Any, width: Any) -> tuple[Any, Any]:
    """Lines and widths that fit together, within the limits; InvalidArgument says what does not."""
    lines = tf.ensure_shape(lines, [None, HEIGHT, None])
    width = tf.ensure_shape(width, [None])
    n, widest = tf.shape(lines)[0], tf.shape(lines)[2]
    told = tf.strings.format("lines are {} pixels wide, expected at most {}", (widest, WIDEST))
    checks = [tf.debugging.Assert(widest <= WIDEST, [told])]
    total = tf.cast(n, tf.int64) * tf.cast(widest, tf.int64)
    told = tf.strings.format("{} lines of {} pixels are too many at once", (n, widest))
    told = tf.strings.join([told, f", expected at most {MOST_COLUMNS} pixels along all: send fewer"])
    checks.append(tf.debugging.Assert(total <= MOST_COLUMNS, [told]))
    told = tf.strings.format("width has {} numbers for {} lines, expected one for each", (tf.size(width), n))
    checks.append(tf.debugging.Assert(tf.size(width) == n, [told]))
    wrong = (width < 1) | (width > widest)
    row = tf.argmax(tf.pad(wrong, [[0, 1]]), output_type=tf.int32)
    known = tf.pad(width, [[0, 1]])[row]
    told = tf.strings.format("width[{}] is {}, expected 1 to {}, the pixels of lines", (row, known, widest))
    checks.append(tf.debugging.Assert(~tf.reduce_any(wrong), [told]))
    with tf.control_dependencies(checks):
        return tf.identity(lines), tf.identity(width)


def pictures(image_bytes: Any, max_pixels: int) -> tuple[Any, Any]:
    """Read PNG or JPEG files of one line each, string [n], as lines uint8 [n, 32, w] and their width, int32
    [n]; digits.export.pictures has the refusals."""
    image_bytes = tf.ensure_shape(image_bytes, [None])

    def one(numbered: tuple[Any, Any]) -> tuple[Any, Any]:
        row, picture = numbered
        line = _line(grey(picture, row, max_pixels), row)
        width = tf.shape(line)[1]
        return tf.pad(line, [[0, 0], [0, WIDEST - width]]), width

    lines, width = tf.map_fn(
        one,
        (tf.range(tf.size(image_bytes)), image_bytes),
        parallel_iterations=PARALLEL_PICTURES,
        fn_output_signature=(tf.TensorSpec([HEIGHT, WIDEST], tf.uint8), tf.TensorSpec([], tf.int32)),
    )
    return lines[:, :, : tf.reduce_max(tf.pad(width, [[0, 1]]))], width


def _line(levels: Any, row: Any) -> Any:
    """A picture, float32 [h, w] of 0–255, as uint8 [32, w'], its proportions kept."""
    height, width = tf.shape(levels)[0], tf.shape(levels)[1]
    scaled = tf.cast(width, tf.float64) * HEIGHT / tf.cast(height, tf.float64)
    told = tf.strings.format("is {} pixels wide and {} high, which is too long for a line", (width, height))
    told = tf.strings.join([told, f"; expected at most {WIDEST // HEIGHT} times as wide as high"])
    with tf.control_dependencies([refuse_unless(scaled <= WIDEST, row, told)]):
        size = tf.stack([HEIGHT, tf.maximum(tf.cast(tf.round(scaled), tf.int32), 1)])
    small = tf.image.resize(levels[:, :, tf.newaxis], size, "bilinear", antialias=True)[:, :, 0]
    return tf.cast(tf.floor(tf.clip_by_value(small, 0.0, 255.0) + 0.5), tf.uint8)
