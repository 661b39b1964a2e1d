"""Rows of the embedded server's facts log, for the signatures of the wire contract (`digits.wire`).

`digits serve` has the server call `rows` (`--facts_function`). What it returns has the columns of
`serving.monitoring.logs`, as far as the server does not know them itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits import wire
from digits.facts import FACTS
from serving.monitoring import facts
from serving.monitoring.facts import DIGIT, LINE, PICTURE, Row

Arrays = Mapping[str, NDArray[Any]]
MOST = 64  # rows of a request: the first ones speak for the others
INPUT = {
    wire.PIXELS: wire.IMAGES,
    wire.ENCODED: wire.IMAGE_BYTES,
    wire.CLASSIFY: wire.EXAMPLE_KEY,
    wire.LINES: wire.LINE_IMAGES,
    wire.LINES_ENCODED: wire.IMAGE_BYTES,
}
KIND = {
    wire.PIXELS: DIGIT,
    wire.ENCODED: PICTURE,
    wire.CLASSIFY: PICTURE,
    wire.LINES: LINE,
    wire.LINES_ENCODED: LINE,
}


def rows(signature: str, inputs: Arrays, outputs: Arrays) -> list[dict[str, Any]]:
    """A row for each image or line of an answered request; none for a signature of another model."""
    if signature not in INPUT or INPUT[signature] not in inputs:
        return []
    sent = list(_sent(signature, inputs))
    answers = _answers(signature, {name: values[:MOST] for name, values in outputs.items()})
    return [
        {"kind": KIND[signature], "digest": hashlib.sha256(image).hexdigest()}
        | {name: values[i] for name, values in answers.items()}
        | {name: value for name, value in zip(FACTS, found, strict=True) if value is not None}
        for i, (image, found) in enumerate(zip(sent, _facts(signature, sent), strict=True))
    ]


def _sent(signature: str, inputs: Arrays) -> Iterator[bytes]:
    """What the client sent of each image or line: pixels, or a file."""
    images = inputs[INPUT[signature]][:MOST]
    if signature == wire.LINES:
        for image, width in zip(images, inputs[wire.WIDTH], strict=False):
            yield np.ascontiguousarray(image[:, : int(width)]).tobytes()
    else:
        for image in images:
            yield image if isinstance(image, bytes) else image.tobytes()


def _facts(signature: str, sent: Sequence[bytes]) -> list[Row]:
    if signature == wire.PIXELS:
        return facts.of_digits(sent)
    make = facts.of_line if signature == wire.LINES else facts.of_picture
    return [make(image) for image in sent]


def _answers(signature: str, outputs: Arrays) -> dict[str, list[Any]]:
    """Digit, confidence and accepted, as far as the client asked for them."""
    if signature == wire.CLASSIFY:
        scores = outputs[wire.SCORES]
        return {
            "digit": scores.argmax(axis=1).tolist(),
            "confidence": scores.max(axis=1).tolist(),
        }
    names = (wire.DIGIT, wire.CONFIDENCE, wire.ACCEPTED)
    return {name: outputs[name].tolist() for name in names if name in outputs}
