"""One trial: on a worker, a training; in the flow's process, its reports to the study and its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flows.search.parallel import Ended
from flows.search.space import Settings, text
from flows.search.study import ERROR, TRAINED
from flows.search.workers import FailedError

if TYPE_CHECKING:
    from optuna import Study, Trial

    from digits.dataset import Split
    from digits.runtime.params import TrainParams

PARTS = 10  # a training is compared with others at each tenth: their epochs and steps may differ


def warm() -> None:
    """On a worker: load what a training needs."""
    from digits.pipeline import training

    training.ready()


def train(
    data: tuple[Split, Split], section: TrainParams, tell: Callable[[float, float], bool]
) -> dict[str, Any]:
    """On a worker: train on the first split, score on the second, tell each tenth; what came of it."""
    from digits.pipeline import training

    told = 0

    def goes_on(share: float, accuracy: float) -> bool:
        nonlocal told
        reached = int(share * PARTS + 1e-9)
        if reached <= told or reached >= PARTS:  # the end is told by the result
            return True
        told = reached
        return tell(share, accuracy)

    return asdict(training.train(*data, section, goes_on))


def in_study(
    study: Study,
    trial: Trial,
    settings: Settings,
    trained: Callable[[Callable[[float, float], bool]], dict[str, Any]],
) -> Ended:
    """Have a trial trained, pruned when the study says so, and its end written down.

    A training that fails is a failed trial, with the reason. Raises DigitsError, the trial still open, when
    it could not be run.
    """
    import optuna

    told = 0

    def report(share: float, accuracy: float) -> bool:
        nonlocal told
        reached = int(share * PARTS + 1e-9)
        for tenth in range(told + 1, reached + 1):  # epochs may be longer than a tenth
            trial.report(accuracy, tenth)
        told = max(told, reached)
        return not trial.should_prune()

    name = f"trial {trial.number + 1}"
    what = ", ".join(f"{key.partition('.')[2]} {text(value)}" for key, value in settings.items())
    try:
        found = trained(report)
    except FailedError as error:
        trial.set_user_attr(ERROR, str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return Ended("Failed", f"{name}: {error} ({what})", ok=False)
    trial.set_user_attr(TRAINED, found)
    if found["loss"] is None:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        at = f"{found['accuracy']:.2%} after {found['share']:.0%} of its steps"
        return Ended("Pruned", f"{name}: pruned, {at} ({what})")
    study.tell(trial, found["accuracy"])
    return Ended("Completed", f"{name}: {found['accuracy']:.2%} in {found['seconds']:.0f} s ({what})")
