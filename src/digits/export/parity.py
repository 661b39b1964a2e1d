"""Compares an exported model with the one it came from, and describes what differs.

Run on what was read back from disk, as a server would read it, before an export counts as done.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageOps

from digits import wire
from digits.ink import has_ink

Signature = Callable[..., Mapping[str, Any]]

TOLERANCE = 1e-5  # of a probability: other kernels may sum in another order
# Reading a picture means resampling it, which changes one answer in a thousand of a good model's, and a few
# in a hundred of a poor one's; a broken step (polarity, crop, centring, colour) changes most.
SAME_DIGITS = 0.95
PICTURES = 200  # rendered in each manner
BATCH = 500  # of pixels; bounds the memory
SIDES = (60, 600)  # pixels; smallest and largest picture rendered


def disagreements(
    signatures: Mapping[str, Signature],
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    threshold: float,
) -> list[str]:
    """One line for everything that is not as it was.

    images: uint8 [n, 28, 28], real digits. expected: float32 [n, 10], the model's calibrated probabilities.
    threshold: the least confidence of an accepted answer.
    """
    found = _pixels(signatures[wire.PIXELS], images, expected, threshold)
    digits = expected[:PICTURES].argmax(axis=1)
    for manner, render in MANNERS.items():
        files = [render(image, _side(row)) for row, image in enumerate(images[:PICTURES])]
        answers = signatures[wire.ENCODED](**{wire.IMAGE_BYTES: tf.constant(files)})
        same = float(np.mean(answers[wire.DIGIT].numpy() == digits))
        if not same >= SAME_DIGITS:
            found.append(f"{wire.ENCODED} reads {same:.1%} of {manner} alike, expected {SAME_DIGITS:.0%}")
    return found


def _pixels(
    signature: Signature, images: NDArray[np.uint8], expected: NDArray[np.float32], threshold: float
) -> list[str]:
    batches = [
        signature(**{wire.IMAGES: tf.constant(images[start : start + BATCH])})
        for start in range(0, len(images), BATCH)
    ]
    names = wire.OUTPUTS[wire.PIXELS]
    answers = {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in names}
    probabilities = answers[wire.PROBABILITIES]
    if probabilities.shape != expected.shape:
        return [f"{wire.PIXELS} answers {list(probabilities.shape)}, expected {list(expected.shape)}"]
    found = []
    apart = np.abs(probabilities - expected).max()
    if not apart <= TOLERANCE:
        found.append(
            f"{wire.PIXELS} is up to {apart:.2g} off the model's probabilities, at most {TOLERANCE} allowed"
        )
    if not (answers[wire.DIGIT] == probabilities.argmax(axis=1)).all():
        found.append(f"{wire.DIGIT} is not the likeliest digit")
    if not (answers[wire.CONFIDENCE] == probabilities.max(axis=1)).all():
        found.append(f"{wire.CONFIDENCE} is not that digit's probability")
    inked = np.concatenate([has_ink(images[at : at + BATCH]).numpy() for at in range(0, len(images), BATCH)])
    if not (answers[wire.ACCEPTED] == (inked & (probabilities.max(axis=1) >= np.float32(threshold)))).all():
        found.append(
            f"{wire.ACCEPTED} does not tell which answers have ink and reach a threshold of {threshold:g}"
        )
    return found


def unlike_empty(signatures: Mapping[str, Signature]) -> list[str]:
    """One line for every signature that answers an empty batch in other shapes than the contract has."""
    found = []
    for name, inputs in wire.INPUTS.items():
        empty = {
            alias: tf.zeros([0, *(size or 0 for size in shape[1:])], dtype)
            for alias, (dtype, shape) in inputs.items()
        }
        answers = {output: value.shape.as_list() for output, value in signatures[name](**empty).items()}
        expected = {output: [0, *shape[1:]] for output, (_, shape) in wire.OUTPUTS[name].items()}
        fits = set(answers) == set(expected) and all(
            len(answers[output]) == len(shape)
            and all(want is None or want == size for want, size in zip(shape, answers[output], strict=True))
            for output, shape in expected.items()
        )
        if not fits:
            found.append(f"{name} answers an empty batch with {answers}, expected {expected}")
    return found


def _side(row: int) -> int:
    smallest, largest = SIDES
    return smallest + row * 271 % (largest - smallest + 1)


def _enlarged(image: NDArray[np.uint8], side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)


def _off_centre(image: NDArray[np.uint8], side: int) -> Image.Image:
    page = Image.new("L", (side, side))
    page.paste(_enlarged(image, side * 3 // 5), (side * 2 // 5, 0))
    return page


def _bytes(picture: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def _photo(image: NDArray[np.uint8], side: int) -> bytes:
    """Blue ink on yellowish paper, in the picture's upper right."""
    return _bytes(ImageOps.colorize(_off_centre(image, side), (235, 225, 190), (40, 50, 150)), "JPEG")


# how a digit, uint8 [28, 28], and a side in pixels become a file
MANNERS: dict[str, Callable[[NDArray[np.uint8], int], bytes]] = {
    "PNGs, white on black": lambda image, side: _bytes(_enlarged(image, side), "PNG"),
    "PNGs, black on white": lambda image, side: _bytes(ImageOps.invert(_enlarged(image, side)), "PNG"),
    "JPEGs, white on black, off-centre": lambda image, side: _bytes(_off_centre(image, side), "JPEG"),
    "JPEGs, black on white": lambda image, side: _bytes(ImageOps.invert(_enlarged(image, side)), "JPEG"),
    "colour JPEGs, off-centre": _photo,
}
