"""Runs one training in a process that runs many: a trial of a sweep, or a fold of a cross-validation.

The same code as the train stage, on one thread, so that as many run at a time as there are cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digits.dataset import Split
    from digits.runtime.params import TrainParams
    from digits.train.history import Epoch, Progress

ShouldContinue = Callable[
    [float, float], bool
]  # (share of the steps done, accuracy on validation) → whether to go on


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training. Accuracies are shares."""

    accuracy: float  # on validation; the last one reported where it was stopped
    loss: float | None  # cross-entropy on validation; None where it was stopped
    train_accuracy: float | None
    share: float  # of the steps, done
    seconds: float
    pid: int
    began: float  # seconds since 1970, by the clock of the machine that trained

    @property
    def stopped(self) -> bool:
        """Whether it was stopped early."""
        return self.loss is None


class _StoppedError(Exception):
    """The training was asked to stop."""


def prepare_tensorflow() -> None:
    """Load TensorFlow and limit it to one thread; only the first call of a process has an effect."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from digits.runtime.tf_import import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    threads = tf.config.threading
    if threads.get_intra_op_parallelism_threads() != 1:  # once it computes, TensorFlow refuses a change
        threads.set_intra_op_parallelism_threads(1)
        threads.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()


def train(
    train: Split, validation: Split, section: TrainParams, goes_on: ShouldContinue | None = None
) -> TrainingResult:
    """Train by the section, scored on `validation` after each epoch and at the end.

    Raises ParamsError when keys contradict each other, TrainingError when it can't go on.
    """
    prepare_tensorflow()
    import keras

    from digits.runtime.hardware import find_hardware
    from digits.train import fit, profiles
    from digits.train.additions import pool_of

    keras.backend.clear_session()  # what the previous training left
    began, started = time.time(), time.monotonic()
    recipe = profiles.resolve(section, len(train), find_hardware(section))
    last: tuple[float, float] = (0.0, 0.0)

    def on_epoch(_: Progress, epoch: Epoch) -> None:
        nonlocal last
        last = (epoch.step / recipe.all_steps, epoch.val_accuracy)
        if goes_on and not goes_on(*last):
            raise _StoppedError

    def trained(
        accuracy: float, loss: float | None, train_accuracy: float | None, share: float
    ) -> TrainingResult:
        seconds = time.monotonic() - started
        return TrainingResult(accuracy, loss, train_accuracy, share, seconds, os.getpid(), began)

    try:
        additions = pool_of(recipe, train)
        result: Any = fit.fit(train, validation, recipe, on_epoch=on_epoch, additions=additions)
    except _StoppedError:
        return trained(last[1], None, None, last[0])
    return trained(result.validation_accuracy, result.validation_loss, result.train_accuracy, last[0])
