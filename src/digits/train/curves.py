"""A training's figures as files that `dvc plots` draws, an epoch at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from digits.train.history import Epoch


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
