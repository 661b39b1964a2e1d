import struct

import numpy as np
import pytest

from digits.ingest.mnist import labelled_images
from digits.runtime.errors import DataError
from tests.ingest._idx import idx_bytes

NAMES = ("train-images", "train-labels")
IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([0, 9, 4], dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "train-labels is 0 bytes long, expected an IDX file of uint8 with 1 dimensions"),
        (b"PK\x03\x04" + bytes(20), "train-labels begins with 504b0304"),
        (b"\0\0\x0d\x01" + idx_bytes(LABELS)[4:], "train-labels holds float32 with 1 dimensions"),
        (idx_bytes(IMAGES), "train-labels holds uint8 with 3 dimensions"),
        (idx_bytes(LABELS)[:-1], "train-labels is truncated: 10 bytes, expected 11"),
        (idx_bytes(LABELS) + b"\0", "train-labels is overlong: 12 bytes, expected 11"),
        (
            idx_bytes(np.array([0, 10, 10])),
            r"train-labels holds label 10 in row 1 \(2 such rows\), expected 0–9",
        ),
        (idx_bytes(LABELS[:2]), "train-images holds 3 images but train-labels 2 labels"),
    ],
)
def test_wrong_labels_are_refused_with_what_was_found(data, says):
    with pytest.raises(DataError, match=says):
        labelled_images(idx_bytes(IMAGES), data, NAMES)


def test_images_of_another_size_or_a_size_beyond_64_bits_are_refused():
    with pytest.raises(DataError, match="train-images holds images of 27×28, expected 28×28"):
        labelled_images(idx_bytes(IMAGES[:, 1:]), idx_bytes(LABELS), NAMES)
    with pytest.raises(DataError, match="truncated"):
        labelled_images(struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3), idx_bytes(LABELS), NAMES)
