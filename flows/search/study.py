"""Keeps the trials of a sweep: an Optuna study in `.digits/studies/<name>.db`, written by one process.

A study that a killed sweep left is repaired when it is opened again: trials that were running are marked as
lost, and their settings are queued again before new ones are drawn. A trial counts as done when it is
complete, was pruned, or failed by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.runtime import locks
from digits.runtime.errors import DigitsError, ParamsError
from flows.search.space import Dimension, Settings, grid

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

FOLDER = Path(".digits/studies")
SAMPLERS = ("tpe", "random", "grid")
STARTUP = 4  # complete trials before any is pruned: a median of fewer says little
TENTHS = 3  # of a training before it may be pruned: early accuracy mostly depends on the learning rate
ABOUT, LOST, ERROR, RESULT = "about", "lost", "error", "trained"  # names of attributes


@dataclass(frozen=True)
class Row:
    """One trial that is done: `complete`, `pruned` or `failed`. Accuracy and loss are on validation."""

    number: int
    outcome: str
    settings: Settings
    accuracy: float | None = None
    loss: float | None = None
    train_accuracy: float | None = None
    share: float | None = None  # of its steps
    seconds: float | None = None
    began: float | None = None
    pid: int | None = None
    error: str = ""


def winner(rows: Sequence[Row]) -> Row | None:
    """The complete trial with the best accuracy on validation, then the lower loss, then the lower number."""
    whole = [row for row in rows if row.outcome == "complete"]
    return min(whole, key=lambda row: (-(row.accuracy or 0), row.loss or 0, row.number), default=None)


@contextlib.contextmanager
def open_study(
    root: Path, name: str, about: Mapping[str, Any], sampler: str, seed: int, *, prune: bool
) -> Iterator[Study]:
    """Create the study of that name, or repair and continue it; no other process writes to it meanwhile.

    about: what its trials have in common. seed: of the sampler. Raises DigitsError while another sweep holds
    it, ParamsError when it was started with another `about`.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with locks.hold(folder / f"{name}.lock", partial(_busy, name)):
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder / name}.db", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
            known = study.user_attrs.get(ABOUT)
            if known is None:
                study.set_user_attr(ABOUT, dict(about))
            elif differing := sorted(k for k in about if known.get(k) != about[k]):
                raise ParamsError(
                    f"the study '{name}' was started with other {', '.join(differing)}: give this sweep "
                    f"another --name, or delete {FOLDER / name}.db"
                )
            _heal(study)
            study.sampler = _sampler(
                sampler, seed + len(study.trials)
            )  # going on must not draw the same again
            if prune:
                study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=TENTHS)
            else:
                study.pruner = optuna.pruners.NopPruner()
            yield study
        finally:
            storage.engine.dispose()


def _sampler(name: str, seed: int) -> Any:
    import optuna

    if name != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)


def _heal(study: Study) -> None:
    """Mark trials that a killed sweep left running as lost, and queue their settings before new ones.

    A trial that was killed before it took all of its settings still has those it was queued with.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        settings = trial.system_attrs.get("fixed_params", {}) | trial.params
        study._storage.set_trial_user_attr(trial._trial_id, LOST, True)
        study.tell(trial.number, state=TrialState.FAIL)
        if settings:
            study.enqueue_trial(settings, skip_if_exists=False)


def enqueue_missing(study: Study, space: tuple[Dimension, ...], sampler: str, trials: int | None) -> int:
    """How many trials are still missing; those of a grid are put in the queue, in order."""
    done = len(rows(study, space))
    if sampler != "grid":
        return max(0, (trials or 0) - done)
    from optuna.trial import TrialState

    known = [
        dict(t.params) for t in study.trials if t.state != TrialState.WAITING and LOST not in t.user_attrs
    ]
    known += [
        dict(t.system_attrs.get("fixed_params", {})) for t in study.trials if t.state == TrialState.WAITING
    ]
    combinations = grid(space)
    for settings in combinations:
        if settings not in known:
            study.enqueue_trial(settings)
    return max(0, len(combinations) - done)


def ask(study: Study, space: tuple[Dimension, ...]) -> tuple[Trial, Settings]:
    """The next trial and the settings to train it with."""
    trial = study.ask({dimension.key: _distribution(dimension) for dimension in space})
    return trial, _settings(trial.params, space)


def _settings(values: Mapping[str, Any], space: tuple[Dimension, ...]) -> Settings:
    return {d.key: d.rounded(values[d.key]) for d in space if d.key in values}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna import distributions

    if dimension.choices:
        return distributions.CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def rows(study: Study, space: tuple[Dimension, ...]) -> list[Row]:
    """Every trial that is done, by number."""
    from optuna.trial import TrialState

    ended = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    return [_row(trial, space) for trial in ended if LOST not in trial.user_attrs]


def _row(trial: FrozenTrial, space: tuple[Dimension, ...]) -> Row:
    outcome = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
    trained = trial.user_attrs.get(RESULT, {})
    error = str(trial.user_attrs.get(ERROR, ""))
    return Row(trial.number + 1, outcome, _settings(trial.params, space), **trained, error=error)


def _busy(name: str, holder: str) -> DigitsError:
    return DigitsError(
        f"process {holder} is running the study '{name}': wait, or give this sweep another --name"
    )
