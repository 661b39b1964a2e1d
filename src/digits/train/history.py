"""The figures of a training: an epoch's, all that it takes to go on, and the curves that DVC plots."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class State:
    """A training after `step` steps: its arrays by name."""

    step: int
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Epoch:
    """What is known when an epoch ends: a row of history.csv. Accuracies are shares.

    `loss` and `accuracy` are those of training: augmented images, weights as they change. The rest is about
    the averaged weights and clean images: `gap` = train_accuracy − val_accuracy tells what was learnt by
    heart. Where `validation_every` skips an epoch, they are the last validated one's. Of several networks,
    trained one after another, epochs and steps count on; the figures are those of the network at work.
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    accuracy: float
    train_accuracy: float
    val_accuracy: float
    val_loss: float
    gap: float


@dataclass(frozen=True)
class Probe:
    """A point of the curve of accuracy over time."""

    step: int
    seconds: float  # of the caller's clock since `fit` began, without probing
    validation_accuracy: float


@dataclass(frozen=True)
class Progress:
    """A training between two epochs: all that `fit(resume=…)` needs to go on."""

    state: State | None  # of the network that is trained; None: its training has not begun
    history: tuple[Epoch, ...]  # of all networks so far
    best: State | None = None  # with early stopping: the state of the lowest validation loss
    waited: int = 0  # epochs since then
    epochs: int = 0  # of the network that is trained
    finished: tuple[dict[str, NDArray[np.float32]], ...] = ()  # weights of the networks before it


def table(history: Sequence[Epoch]) -> str:
    """history.csv: a row an epoch."""
    text = io.StringIO()
    rows = csv.DictWriter(text, list(vars(history[0])), lineterminator="\n")
    rows.writeheader()
    rows.writerows(vars(epoch) for epoch in history)
    return text.getvalue()


@contextlib.contextmanager
def writer(directory: Path, writes: bool) -> Iterator[Callable[[Epoch], None]]:
    """DVCLive's files; its report, experiment and dvc.yaml are the pipeline's own.

    writes: whether this host does, of several that train together.
    """
    if not writes:
        yield lambda _: None
        return
    from dvclive import Live

    with Live(str(directory), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False) as log:

        def one(epoch: Epoch) -> None:
            log.step = epoch.epoch
            for name, value in vars(epoch).items():
                if name != "epoch":
                    log.log_metric(name, value)
            log.sync()

        yield one
