"""Runs one trial of a sweep: the training on a worker; reports and result in the flow's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flows.search.parallel import TaskResult
from flows.search.space import Settings, text
from flows.search.study import ERROR, RESULT
from flows.search.workers import WorkFailed

if TYPE_CHECKING:
    from optuna import Study, Trial

    from digits.dataset import Split
    from digits.runtime.params import TrainParams

PARTS = 10  # trainings are compared at each tenth, since their epochs and steps may differ


def warm() -> None:
    """Load what a training needs; runs on a worker."""
    from digits.pipeline import training

    training.prepare_tensorflow()


def train(
    data: tuple[Split, Split], section: TrainParams, report: Callable[[float, float], bool]
) -> dict[str, Any]:
    """Train on the first split, score on the second, report at each tenth; runs on a worker.

    report: gets the share of the steps and the accuracy, and says whether to go on.
    """
    from digits.pipeline import training

    last = 0

    def goes_on(share: float, accuracy: float) -> bool:
        nonlocal last
        tenth = int(share * PARTS + 1e-9)
        if tenth <= last or tenth >= PARTS:  # the end is reported by the result
            return True
        last = tenth
        return report(share, accuracy)

    return asdict(training.train(*data, section, goes_on))


def run_in_study(
    study: Study,
    trial: Trial,
    settings: Settings,
    train: Callable[[Callable[[float, float], bool]], dict[str, Any]],
) -> TaskResult:
    """Train a trial, pruning it if the study says so, and record its result in the study.

    train: does the training, and gets the function to report to. A training that fails makes a failed trial,
    with the reason. Raises DigitsError when it could not be run; the trial then stays open.
    """
    import optuna

    last = 0

    def report(share: float, accuracy: float) -> bool:
        nonlocal last
        reached = int(share * PARTS + 1e-9)
        for tenth in range(last + 1, reached + 1):  # epochs may be longer than a tenth
            trial.report(accuracy, tenth)
        last = max(last, reached)
        return not trial.should_prune()

    name = f"trial {trial.number + 1}"
    what = ", ".join(f"{key.partition('.')[2]} {text(value)}" for key, value in settings.items())
    try:
        scores = train(report)
    except WorkFailed as error:
        trial.set_user_attr(ERROR, str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return TaskResult("Failed", f"{name}: {error} ({what})", ok=False)
    trial.set_user_attr(RESULT, scores)
    if scores["loss"] is None:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        at = f"{scores['accuracy']:.2%} after {scores['share']:.0%} of its steps"
        return TaskResult("Pruned", f"{name}: pruned, {at} ({what})")
    study.tell(trial, scores["accuracy"])
    return TaskResult("Completed", f"{name}: {scores['accuracy']:.2%} in {scores['seconds']:.0f} s ({what})")
