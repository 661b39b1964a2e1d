"""The devices that share each batch of a training: those of one host, or of several hosts.

Each takes its rows, and what belongs to the whole batch is summed over all of them: the loss, the gradients,
batch norm's statistics. So the weights are those that one device would make, but for the order of the sums.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.model.replica_context import SUM, part, share, total


class Replicas:
    """All replicas of a training, as its loop sees them."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None, host: int = 0, hosts: int = 1) -> None:
        """strategy: None for one device. host: this one's number of `hosts`; 0 is the chief."""
        self.strategy, self.host, self.hosts = strategy, host, hosts
        self.count = int(strategy.num_replicas_in_sync) if strategy else 1
        self._sum = tf.function(self._summed, input_signature=[tf.TensorSpec([None])], autograph=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the training makes."""
        return self.host == 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where variables are made of which each replica has its copy."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def variable(self, value: Any, name: str) -> Any:
        """One of which each replica has its copy, and which all change alike."""
        # a tensor, never another variable: Keras would take that one over, and the two be one
        start = tf.convert_to_tensor(value)
        with self.scope():
            return keras.Variable(start, name=name, aggregation="only_first_replica")

    def step(self, one: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
        """A step by one device: (arrays of a batch …, number) → mean loss, hits; to one by all of them.

        Every host prepares the whole batch, which costs it the augmentation of the others' rows, and leaves
        every random draw as it is on one device.
        """

        def own(*arguments: Any) -> Any:
            *batch, number = arguments
            loss, hits = one(*map(share, batch), number)
            return total(tf.stack([part(loss), hits]))

        def all_of_them(*arguments: Any) -> tuple[Any, Any]:
            loss, hits = tf.unstack(self._first(self._strategy.run(own, args=arguments)))
            return loss, hits

        return all_of_them

    def over_hosts(self, own: Sequence[float]) -> list[float]:
        """The sums over the hosts of some numbers each, in float32; every host gets the same. All must call.

        On one host the numbers as they are.
        """
        if self.hosts == 1:
            return list(own)
        summed: list[float] = self._sum(tf.constant(own, tf.float32)).numpy().tolist()
        return summed

    def from_chief(self, data: bytes) -> bytes:
        """The chief's bytes, on every host. All must call it."""
        if self.hosts == 1:
            return data
        own = data if self.is_chief else b""
        size = bytes(map(int, self.over_hosts([*len(own).to_bytes(8, "big")])))
        if not any(size):  # TensorFlow's process crashes on the sum of empty vectors
            return b""
        # A byte as a float32: what every collective carries, on GPUs too, and what no sum with zeros changes.
        sent = np.zeros(int.from_bytes(size, "big"), np.float32)
        if self.is_chief:
            sent[:] = np.frombuffer(own, np.uint8)
        received: NDArray[np.float32] = self._sum(tf.constant(sent)).numpy()
        return received.astype(np.uint8).tobytes()

    def alike(self, data: bytes) -> bool:
        """Whether all hosts hold the same bytes, of one length. All must call it."""
        rows = np.zeros((self.hosts, len(data)))
        rows[self.host] = np.frombuffer(data, np.uint8)
        every = np.array(self.over_hosts(rows.ravel().tolist())).reshape(rows.shape)
        return bool((every == every[0]).all())

    @property
    def _strategy(self) -> Any:
        assert self.strategy is not None
        return self.strategy

    def _first(self, results: Any) -> Any:
        return self._strategy.experimental_local_results(results)[0]

    def _summed(self, own: Any) -> Any:
        def one() -> Any:
            context = tf.distribute.get_replica_context()
            speaks = context.replica_id_in_sync_group % (self.count // self.hosts) == 0  # for its host
            return context.all_reduce(SUM, tf.where(speaks, own, tf.zeros_like(own)))

        return self._first(self._strategy.run(one))
