"""Inside a training step: a replica's rows of the batch, and what all replicas' rows add up to.

Layers ask here; where one device has the batch to itself, nothing is changed and nothing added to the graph.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SUM = tf.distribute.ReduceOp.SUM


def several() -> bool:
    """Whether this code is traced for one replica of several."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def count() -> int:
    """The replicas that share a batch."""
    return int(tf.distribute.get_replica_context().num_replicas_in_sync) if several() else 1


def share(whole: Any) -> Any:
    """This replica's rows of a batch: every `count()`-th, since which are damaged goes by position."""
    if not several():
        return whole
    rows, *rest = whole.shape
    place = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.reshape(whole, [rows // count(), count(), *rest])[:, place]


def part(mean: Any) -> Any:
    """What a mean over this replica's rows adds to the mean over the batch."""
    return mean / count() if several() else mean


def total(own: Any) -> Any:
    """The sum over all replicas, of a tensor or a list of them; gradients go through it."""
    return tf.distribute.get_replica_context().all_reduce(SUM, own) if several() else own
