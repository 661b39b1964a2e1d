"""A search for better values of params.yaml's train section: many trainings, some at a time, one winner.

A trial trains on data/prepared/train and is scored on data/prepared/validation; test images are not opened.
The same call again goes on where an earlier one was broken off, however it ended.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from digits import dataset, files
from digits.dataset import Split
from digits.runtime import params
from digits.runtime.errors import DigitsError, ParamsError
from digits.runtime.progress import say
from flows.search import experiments, parallel, workers
from flows.search import report as sweep_report
from flows.search import space as sweep_space
from flows.search import study as sweep_study
from flows.search import trial as sweep_trial
from flows.search.report import Found, Plan
from flows.search.study import Row

TRAIN, VALIDATION = Path("data/prepared/train"), Path("data/prepared/validation")


def train_section(root: Path, profile: str | None = None, seed: int | None = None) -> dict[str, Any]:
    """The plain train section of params.yaml, with another profile or seed. Raises ParamsError."""
    base: dict[str, Any] = params.load("train", root / "params.yaml").model_dump()
    base |= {"profile": profile} if profile else {}
    base |= {"seed": seed} if seed is not None else {}
    params.parse("train", base)
    return base


def plan(
    root: Path,
    space: list[str],
    *,
    profile: str | None = None,
    name: str | None = None,
    sampler: str = "tpe",
    trials: int | None = None,
    seed: int = 1,
    workers: int = 2,
    cluster: str | None = None,
    prune: bool = True,
) -> Plan:
    """A checked plan; without a space that of the profile. Raises ParamsError before anything is loaded."""
    base = train_section(root, profile)
    dimensions = sweep_space.parse(space or sweep_space.texts(base["profile"]), base)
    if sampler == "grid":
        size = len(sweep_space.grid(dimensions))
        if trials is not None and trials != size:
            raise ParamsError(f"a grid of this space has {size} trials: leave out --trials, or take random")
    elif trials is None:
        raise ParamsError(f"the sampler {sampler} needs --trials, the number of them")
    words = [sampler, str(seed), files.to_json(base), *(f"{d.key}={d.spec}" for d in dimensions)]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:6]
    chosen = name or f"{base['profile']}-{sampler}-{digest}"
    return Plan(dimensions, base, chosen, sampler, trials, seed, workers, cluster, prune)


def sweep(root: Path, plan: Plan) -> Found:
    """Run what is missing of the plan's trials, and write the table and the picture.

    Raises DataError without prepared data, DigitsError while the same study is at work elsewhere, no cluster
    answers, or not one trial came to its end.
    """
    data = (dataset.load_split(root / TRAIN), dataset.load_split(root / VALIDATION))
    about = {
        "space": {d.key: d.spec for d in plan.space},
        "params": plan.base,
        "data": [dataset.array_sha256(array) for split in data for array in (split.images, split.labels)],
    }
    with sweep_study.open_study(root, plan.name, about, plan.sampler, plan.seed, prune=plan.prune) as study:
        done = len(sweep_study.rows(study, plan.space))
        missing = sweep_study.wanted(study, plan.space, plan.sampler, plan.trials)
        if done:
            say(f"study {plan.name}: {done} trials are done, {missing} to go")
        if missing:
            _run(root, plan, study, data, done, missing)
        found = sweep_report.write(root, plan, study)
    if not found.winner:
        reason = next((row.error for row in found.rows if row.error), "see the table")
        raise DigitsError(f"not one of {len(found.rows)} trials came to its end: {reason}")
    return replace(found, experiments=_experiments(root, plan, found.rows))


def _experiments(root: Path, plan: Plan, rows: list[Row]) -> tuple[str, ...]:
    try:
        profile = str(plan.base["profile"])
        return tuple(experiments.record(root, plan.name, profile, rows))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        say(f"the trials could not be made DVC experiments ({' '.join(reason.split())}); all else is there")
        return ()


def _run(root: Path, plan: Plan, study: Any, data: tuple[Split, Split], done: int, missing: int) -> None:
    stopping, asking = threading.Event(), threading.Lock()
    lost: list[str] = []
    with workers.pool(plan.workers, plan.cluster, sweep_trial.warm) as client:
        held = client.scatter([data], broadcast=True)[0]  # sent, not read there: no disk need be shared

        def one(_: int) -> parallel.Ended:
            with asking:
                trial, settings = sweep_study.ask(study, plan.space)

            def trained(report: workers.Report) -> dict[str, Any]:
                section = sweep_space.section(plan.base, settings)
                ended: dict[str, Any] = workers.work(
                    client, stopping, report, sweep_trial.train, held, section
                )
                return ended

            try:
                ended = sweep_trial.in_study(study, trial, settings, trained)
            except DigitsError as error:  # it stays open in the study, and is tried again
                lost.append(f"trial {trial.number + 1} was not done: {error}")
                ended = parallel.Ended("Lost", lost[-1], ok=False)
            say(ended.line)
            return ended

        parallel.run(
            root,
            "sweep",
            f"{plan.name}: {missing} trials of {plan.base['profile']}",
            [f"trial {done + place + 1}" for place in range(missing)],
            plan.workers,
            one,
            lambda: sweep_report.page(plan, sweep_study.rows(study, plan.space)),
            stopping,
        )
    if lost:
        raise DigitsError(f"{lost[0]} ({len(lost)} of {missing}): run the same command again to go on")
