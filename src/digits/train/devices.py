"""The devices that a training runs on, and how several of them share each batch.

Each takes its rows, and what belongs to the whole batch is summed over all of them: the loss, the gradients,
batch norm's statistics. So the weights are those that one device would make, but for the order of the sums.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.model.recipe import Recipe
from digits.nn.replica_context import SUM, part, share, total
from digits.runtime.errors import ParamsError, TrainingError
from digits.runtime.hardware import Hardware
from digits.runtime.params import TrainParams


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


TF_CONFIG = "TF_CONFIG"  # {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}
JOBS = ("chief", "worker")  # those that train, in the order of their hosts' numbers


@dataclass(frozen=True)
class Cluster:
    """The hosts of a training, as TF_CONFIG names them."""

    hosts: int
    host: int  # the number of this one; 0 is the chief


def find_replicas(params: TrainParams, hardware: Hardware) -> tuple[Hardware, Replicas]:
    """What trains together, as asked for, and the hardware's settings that suit it.

    auto: the hosts of TF_CONFIG where it names several, else the GPUs of this one where there are several. On
    several hosts it returns once all have come. Call it before TensorFlow computes anything. Raises
    ParamsError when what is asked for is not there.
    """
    asked, cluster = params.distribution, _cluster(os.environ.get(TF_CONFIG))
    gpus = len(tf.config.list_physical_devices("GPU")) if hardware.device == "gpu" else 0
    if asked == "hosts" and not cluster:
        raise ParamsError(
            f"train.distribution is hosts and {TF_CONFIG} in the environment names fewer than two: set it as "
            "docs/operations.md shows, or train.distribution to auto"
        )
    if asked == "hosts" or (asked == "auto" and cluster):
        assert cluster
        together = _on_hosts(cluster)
    elif asked == "mirrored" or (asked == "auto" and gpus > 1):
        together = Replicas(_mirrored(hardware.device))
    else:
        return hardware, Replicas()
    if hardware.xla != "everything":
        return hardware, together
    if params.xla == "everything":
        raise ParamsError(
            "train.xla is everything, which several devices can't have, since XLA compiles no sum over them: "
            "set it to augmentation, or train.distribution to none"
        )
    return replace(hardware, xla="augmentation"), together


def check_batch(recipe: Recipe, together: Replicas) -> None:
    """Raise ParamsError when the replicas can't share a batch equally."""
    for one in recipe.trainings():
        if more := one.batch % together.count:
            fewer = one.batch - more
            near = f"{fewer} or {fewer + together.count}" if fewer else f"{together.count}"
            raise ParamsError(
                f"train.batch is {one.batch}, which {together.count} devices can't share equally: take {near}"
            )


def describe(together: Replicas) -> str:
    """How many train together, for a headline; nothing where it is one device."""
    if together.hosts > 1:
        return f", host {together.host} of {together.hosts} with {together.count} devices together"
    return f" on {together.count} devices" if together.count > 1 else ""


def check_alike(together: Replicas, digest: str) -> None:
    """Raise TrainingError when the hosts' digests of data, recipe, code and libraries differ."""
    if not together.alike(digest.encode()):
        raise TrainingError(
            "the hosts do not hold the same data, params, code and libraries: bring them to one commit, run "
            "`dvc pull` or copy data/prepared, and name device and precision in params.yaml rather than auto"
        )


# What TensorFlow raises when a host goes away in the middle of a sum; which one is a matter of chance.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


ABOUT_THE_GRAPH = ("Graph execution error", "Detected at node", "File ", "node:", "<stack traces")


@contextlib.contextmanager
def raise_if_host_lost(together: Replicas) -> Iterator[None]:
    """Turn TensorFlow's errors about a host that no longer answers into a TrainingError."""
    try:
        yield
    except LOST as error:
        if together.hosts == 1:
            raise
        raise TrainingError(
            f"host {together.host} lost another of the {together.hosts} hosts: see there why it ended, then "
            "start the same command on all hosts again; the training goes on after its last whole epoch "
            f"({_cause(error)})"
        ) from error


def _cause(error: Exception) -> str:
    """The line of a TensorFlow error that tells most: the first that is not about the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = (line for line in lines if line and not line.startswith(ABOUT_THE_GRAPH))
    return next(telling, type(error).__name__)


def _cluster(config: str | None) -> Cluster | None:
    """The hosts that TF_CONFIG names; None where they are fewer than two."""
    try:
        told: dict[str, Any] = json.loads(config or "{}")
        addresses = {job: list(told["cluster"][job]) for job in told.get("cluster", {})}
        hosts = sum(map(len, addresses.values()))
        if hosts < 2:
            return None
        job, index = told["task"]["type"], int(told["task"]["index"])
        if not set(addresses) <= set(JOBS) or not 0 <= index < len(addresses[job]):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ParamsError(
            f"{TF_CONFIG} in the environment is {config}, expected the addresses of a cluster's chief and "
            'workers, and this task\'s type and index: {"cluster": {"worker": ["host:port", …]}, "task": '
            '{"type": "worker", "index": 0}}'
        ) from None
    before = len(addresses.get("chief", [])) if job == "worker" else 0
    return Cluster(hosts, before + index)


def _on_hosts(cluster: Cluster) -> Replicas:
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise TrainingError(
            f"the {cluster.hosts} hosts of {TF_CONFIG} did not come together: start the same command on all, "
            f"and see that they reach each other's addresses ({_cause(error)})"
        ) from error
    return Replicas(strategy, cluster.host, cluster.hosts)


def _mirrored(device: str) -> tf.distribute.Strategy:
    kind = device.upper()
    found = tf.config.list_logical_devices(kind)
    if len(found) < 2:
        raise ParamsError(
            f"train.distribution is mirrored and TensorFlow sees {len(found)} {kind}, expected two or "
            "more: set it to auto"
        )
    return tf.distribute.MirroredStrategy([each.name for each in found])
