"""Cross-validation of a profile: k trainings, each scored on a fold it has not seen. For `digits crossval`.

The folds are parts of data/prepared/train and data/prepared/validation together; the test images are not
opened. Finished folds are kept, so calling again after an interruption trains only those that are missing.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digits import dataset, files
from digits.dataset import Split, concatenate
from digits.runtime import params
from digits.runtime.errors import DataError, DigitsError, ParamsError
from digits.runtime.progress import bar, count, say
from digits.runtime.stage_code import code_sha256
from flows.search import parallel, trial, workers
from flows.sweep import TRAIN, VALIDATION, train_section

if TYPE_CHECKING:
    from digits.runtime.params import TrainParams

FOLDS = Path(".digits/crossval")
REPORTS = Path("reports/crossval")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scores:
    """Accuracies over folds: mean, standard deviation (n − 1), and the mean's 95 % interval by Student's t.

    Folds share most of their training images, so the interval tends to be too narrow.
    """

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class Fold:
    """One training: how many images it saw and was scored on, and its result. Accuracies are shares."""

    fold: int
    n_train: int
    n_scored: int
    accuracy: float
    loss: float
    train_accuracy: float
    seconds: float


@dataclass(frozen=True)
class CrossValidation:
    """The result: every fold, the scores over them, and the table's file."""

    profile: str
    folds: list[Fold]
    scores: Scores
    table: Path


def parts(labels: NDArray[np.uint8], folds: int, seed: int) -> NDArray[np.int64]:
    """Assign each row a fold, 0 … folds − 1: int64 [n]. Every digit is spread evenly, and so are the rows.

    Raises DataError when a digit has fewer images than there are folds.
    """
    rng = np.random.default_rng([seed, folds])
    fold = np.empty(len(labels), dtype=np.int64)
    start = 0
    for digit in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        if len(rows) < folds:
            raise DataError(
                f"digit {digit} has {len(rows)} images, and {folds} folds need one each: take fewer folds"
            )
        fold[rows] = (start + np.arange(len(rows))) % folds  # from where the previous digit ended
        start += len(rows)
    return fold


def scores(accuracies: Sequence[float]) -> Scores:
    """The scores of two or more accuracies."""
    from scipy import stats

    values = np.asarray(accuracies, dtype=np.float64)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * sd / math.sqrt(len(values))
    return Scores(mean, sd, mean - half, mean + half)


def train(
    data: Split, fold: NDArray[np.int64], number: int, section: TrainParams, tell: Any
) -> dict[str, Any]:
    """Train on all folds but one and score on that one; runs on a worker."""
    held_out = fold == number
    return trial.train((data.take(~held_out), data.take(held_out)), section, tell)


def crossval(
    root: Path,
    folds: int,
    *,
    profile: str | None = None,
    seed: int | None = None,
    at_once: int = 2,
    cluster: str | None = None,
) -> CrossValidation:
    """Train the folds that are missing, and write the table. seed: of the folds and of the trainings.

    Raises ParamsError for bad arguments, DataError without prepared data or with too few images, DigitsError
    when a fold fails.
    """
    if folds < 2:
        raise ParamsError(f"{folds} folds, expected at least 2: one to train on and one to score on")
    base = train_section(root, profile, seed)
    section: TrainParams = params.parse("train", base)
    data = concatenate([dataset.load_split(root / TRAIN), dataset.load_split(root / VALIDATION)])
    fold = parts(data.labels, folds, section.seed)
    folder = root / FOLDS / _digest(base, data, folds)
    missing = [number for number in range(folds) if not (folder / f"{number}.json").exists()]
    if len(missing) < folds:
        say(f"{folds - len(missing)} of {folds} folds are done already")
    if missing:
        try:
            _run(root, folder, missing, data, fold, section, at_once, cluster)
        except KeyboardInterrupt:
            finished = len(list(folder.glob("*.json")))
            say(f"stopped with {finished} of {count(folds, 'fold')} done: the same command goes on there")
            raise
    done = [Fold(**files.read_json(folder / f"{number}.json")) for number in range(folds)]
    table = root / REPORTS / f"{section.profile}.json"
    result = CrossValidation(section.profile, done, scores([each.accuracy for each in done]), table)
    record = {"folds": [asdict(each) for each in done], "scores": asdict(result.scores)}
    files.write_json(table, {"params": base, "profile": section.profile, **record})
    return result


def _run(
    root: Path,
    folder: Path,
    missing: list[int],
    data: Split,
    fold: NDArray[np.int64],
    section: TrainParams,
    at_once: int,
    cluster: str | None,
) -> None:
    stopping = threading.Event()
    failed: list[str] = []
    say(f"{count(len(missing), 'fold')} of {section.profile} to train, {at_once} at a time")
    with bar("folds", len(missing)) as advance, workers.pool(at_once, cluster, trial.warm) as client:
        advance(0, note="starting Prefect and the workers")
        sent = client.scatter([data], broadcast=True)[0]

        def one(place: int) -> parallel.TaskResult:
            number = missing[place]
            try:
                result = workers.work(client, stopping, None, train, sent, fold, number, section)
            except DigitsError as error:
                failed.append(f"fold {number + 1}: {error}")
                return parallel.TaskResult("Failed", failed[-1], ok=False)
            scored = int((fold == number).sum())
            kept = {name: result[name] for name in ("accuracy", "loss", "train_accuracy", "seconds")}
            files.write_json(
                folder / f"{number}.json", asdict(Fold(number + 1, len(data) - scored, scored, **kept))
            )
            line = f"fold {number + 1}: {result['accuracy']:.2%} in {result['seconds']:.0f} s"
            say(line)
            advance()
            return parallel.TaskResult("Completed", line)

        def page() -> tuple[str, str]:
            if failed:
                return failed[0], "\n".join(f"- {line}" for line in failed)
            done = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
            values = [Fold(**files.read_json(path)).accuracy for path in done]
            over = scores(values)
            line = f"{over.mean:.2%} ± {over.sd:.2%} over {len(values)} folds of {section.profile}"
            lines = [f"| {place + 1} | {value:.2%} |" for place, value in enumerate(values)]
            return line, "\n".join([line, "", "| fold | accuracy |", "| --- | --- |", *lines])

        titles = [f"fold {number + 1}" for number in missing]
        name = f"{section.profile}: {count(len(missing), 'fold')}"
        parallel.run(root, "crossval", name, titles, at_once, one, page, stopping)
    if failed:
        raise DigitsError(f"{failed[0]} ({len(failed)} of {count(len(missing), 'fold')} failed)")


def _digest(base: dict[str, Any], data: Split, folds: int) -> str:
    """A digest of what a fold's result depends on: parameters, data, code and libraries."""
    words = [files.to_json(base), str(folds), version("tensorflow"), version("keras"), version("numpy")]
    words += [dataset.array_sha256(data.images), dataset.array_sha256(data.labels)]
    words += [code_sha256("train")]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:20]
