"""Compares the exported line signatures with the line reader that they came from, and describes what differs.

Run on what was read back from disk, as digits.export.parity is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits import wire
from digits.export.admission import LineFit
from digits.export.parity import TOLERANCE, Signature
from digits.export.warmup import encoded, joined
from digits.line_model import decoding
from digits.line_model.candidate import LineScorer
from digits.line_model.lines import BLANK, LONGEST, SEPARATOR, Lines, digits_of

BATCH = 50  # lines; bounds the memory
ALIKE = 1e-3  # of a confidence, a function of a sum over columns
MIXED = 3  # lines of each width that are asked for beside wider ones, and as pictures
NOISE = 1  # seed of what fills up lines there

Answers = Mapping[str, NDArray[Any]]


def disagreements(
    signatures: Mapping[str, Signature], groups: Sequence[Lines], score: LineScorer, fit: LineFit
) -> list[str]:
    """One line for everything that is not as it was. groups: lines, by width. score: the model's own."""
    found: list[str] = []
    mixed: list[tuple[NDArray[np.uint8], NDArray[np.float32]]] = []
    for group in groups:
        logarithms = score(group.images)
        width = np.full(len(group), group.width, np.int32)
        for start in range(0, len(group), BATCH):
            part = slice(start, start + BATCH)
            answers = _ask(signatures, group.images[part], width[part])
            found += _apart(f"{wire.LINES} of {group.width} pixels", answers, logarithms[part], fit)
        mixed += zip(group.images[:MIXED], logarithms[:MIXED], strict=True)
    lines = [line for line, _ in mixed]
    filled, width = joined(lines)
    noise = np.random.default_rng(NOISE).integers(0, 256, filled.shape, dtype=np.uint8)
    beyond = np.arange(filled.shape[2]) >= width[:, np.newaxis, np.newaxis]
    files = tf.constant([encoded(line) for line in lines])
    by_file = signatures[wire.LINES_ENCODED](**{wire.IMAGE_BYTES: files})
    for name, answers in (
        (f"{wire.LINES} beside wider ones", _ask(signatures, np.where(beyond, noise, filled), width)),
        (wire.LINES_ENCODED, {alias: value.numpy() for alias, value in by_file.items()}),
    ):
        for row, (_, expected) in enumerate(mixed):
            count = len(expected)
            one = {alias: value[row : row + 1] for alias, value in answers.items()}
            if one[wire.COLUMN_COUNT] != count:
                found.append(f"{name}: {one[wire.COLUMN_COUNT][0]} columns, expected {count}")
                continue
            one[wire.COLUMNS] = one[wire.COLUMNS][:, :count]
            found += _apart(name, one, expected[np.newaxis], fit)
    return list(dict.fromkeys(found))


def _ask(
    signatures: Mapping[str, Signature], lines: NDArray[np.uint8], width: NDArray[np.int32]
) -> dict[str, NDArray[Any]]:
    inputs = {wire.LINE_IMAGES: tf.constant(lines), wire.WIDTH: tf.constant(width)}
    return {alias: value.numpy() for alias, value in signatures[wire.LINES](**inputs).items()}


def _apart(name: str, answers: Answers, logarithms: NDArray[np.float32], fit: LineFit) -> list[str]:
    """What differs in the answers for lines of one width, whose columns have these log-probabilities."""
    columns = answers[wire.COLUMNS]
    if columns.shape != logarithms.shape:
        return [f"{name}: columns of {list(columns.shape)}, expected {list(logarithms.shape)}"]
    found = []
    apart = np.abs(columns - np.exp(logarithms)).max(initial=0.0)
    if not apart <= TOLERANCE:
        found.append(f"{name}: columns are up to {apart:.2g} off the model's, at most {TOLERANCE} allowed")
    texts = [_read(line) for line in columns.argmax(2)]
    first = [text[:LONGEST] for text in texts]
    told = {
        wire.TEXT: [digits_of(text).encode() for text in first],
        wire.WRITTEN: [b"".join(b"%d" % c if c < SEPARATOR else b"." for c in text) for text in first],
        wire.LENGTH: [len(text) for text in first],
        wire.CHARACTER: [[*text, *[-1] * (LONGEST - len(text))] for text in first],
    }
    for output, expected in told.items():
        if answers[output].tolist() != expected:
            found.append(f"{name}: {output} is not what the columns say")
    count = tf.fill([len(columns)], columns.shape[1])
    sure = decoding.likelihood(logarithms, count, decoding.characters(tf.exp(logarithms), count)).numpy()
    confidence = answers[wire.CONFIDENCE]
    with np.errstate(over="ignore"):
        wanted = 1 / (1 + np.exp(-(fit.slope * sure.astype(np.float64) + fit.offset)))
    if not np.abs(confidence - wanted).max(initial=0.0) <= ALIKE:
        found.append(f"{name}: {wire.CONFIDENCE} does not follow from the likelihood of the text")
    whole = [bool(digits_of(text)) and len(text) <= LONGEST for text in texts]
    if not (answers[wire.ACCEPTED] == ((confidence >= np.float32(fit.threshold)) & whole)).all():
        found.append(
            f"{name}: {wire.ACCEPTED} is not true of the lines of 1 to {LONGEST} characters, a digit among "
            f"them, that reach a threshold of {fit.threshold:g}"
        )
    return found


def _read(columns: NDArray[np.int64]) -> list[int]:
    """The characters of likeliest classes, repeats and blanks dropped."""
    before = np.concatenate([[BLANK], columns[:-1]])
    kept: list[int] = columns[(columns != before) & (columns != BLANK)].tolist()
    return kept
