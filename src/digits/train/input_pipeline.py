"""The images that the loop trains on: their order in each epoch, and how they come from memory or disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.dataset import Split
from digits.model.canonicalize import SIZE


def epoch_order(labels: NDArray[np.uint8], batch: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Row numbers int32 [steps, batch]; the same for equal arguments, whatever ran before.

    Stratified: each class is spread evenly over the epoch, so every batch holds about its share. Rows that do
    not fill a batch are left out, others in each epoch. Fewer rows than `batch`: some appear twice.
    """
    rng = np.random.default_rng([seed, epoch])
    place = np.empty(len(labels))
    for digit in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        place[rows] = (np.arange(len(rows)) + rng.random(len(rows))) / len(rows)
    order = np.argsort(place, kind="stable").astype(np.int32)
    if len(order) < batch:
        order = np.resize(order, batch)
    steps = len(order) // batch
    start = int(rng.integers(len(order) - steps * batch + 1))
    return order[start : start + steps * batch].reshape(steps, batch)


BLOCK = 16 << 20  # bytes of images that are read at a time, while the block before is trained on

Read = Callable[[NDArray[np.integer[Any]]], NDArray[np.uint8]]  # rows → their images
Block = tuple[Any, Any, Any]  # images uint8 [m, 28, 28], labels int32 [m], rows of these int32 [steps, batch]


class Feed:
    """The training images of a loop; with `read` they stay where they are. The steps are the same."""

    def __init__(self, train: Split, read: Read | None = None) -> None:
        self.labels = train.labels.astype(np.int32)
        self.take: Read = read or (lambda rows: np.asarray(train.images[rows]))
        self.held = None if read else (tf.constant(train.images), tf.constant(self.labels))

    def blocks(self, order: NDArray[np.int32]) -> Iterator[Block]:
        """The steps of `order` int32 [steps, batch], in turn."""
        if self.held:
            yield (*self.held, tf.constant(order))
            return
        size = max(1, BLOCK // (order.shape[1] * SIZE * SIZE))
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(1, "feed") as reader:
            following = reader.submit(self._read, parts[0])
            for place, part in enumerate(parts):
                images, labels = following.result()
                if place + 1 < len(parts):
                    following = reader.submit(self._read, parts[place + 1])
                rows = np.arange(part.size, dtype=np.int32).reshape(part.shape)
                yield tf.constant(images), tf.constant(labels), tf.constant(rows)

    def _read(self, order: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        rows = order.ravel()
        return self.take(rows), self.labels[rows]
