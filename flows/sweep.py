"""A hyperparameter search over the train section of params.yaml. For `digits sweep`.

A trial trains on data/prepared/train and is scored on data/prepared/validation; test images are not opened.
Several trials run at the same time. The same call after an interruption, of whatever kind, goes on where
the earlier one stopped.
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
from digits.runtime.progress import bar, count, say
from flows.search import experiments, parallel, report, space, study, trial, workers
from flows.search.report import Plan, SweepResult
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
    dimensions: list[str],
    *,
    profile: str | None = None,
    name: str | None = None,
    sampler: str = "tpe",
    trials: int | None = None,
    seed: int = 1,
    at_once: int = 2,
    cluster: str | None = None,
    prune: bool = True,
) -> Plan:
    """Check the options of a sweep. Raises ParamsError, before anything large is loaded.

    dimensions: `KEY=SPEC` texts (flows.search.space); with none, the profile's own space is searched.
    at_once: how many trials run at the same time, on this machine.
    """
    base = train_section(root, profile)
    parsed = space.parse(dimensions or space.profile_specs(base["profile"]), base)
    if sampler == "grid":
        size = len(space.grid(parsed))
        if trials is not None and trials != size:
            raise ParamsError(f"a grid of this space has {size} trials: leave out --trials, or take random")
    elif trials is None:
        raise ParamsError(f"the sampler {sampler} needs --trials, the number of trials")
    words = [sampler, str(seed), files.to_json(base), *(f"{d.key}={d.spec}" for d in parsed)]
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:6]
    chosen = name or f"{base['profile']}-{sampler}-{digest}"
    return Plan(parsed, base, chosen, sampler, trials, seed, at_once, cluster, prune)


def sweep(root: Path, plan: Plan) -> SweepResult:
    """Run the plan's trials that are missing, and write the table and the picture.

    Raises DataError without prepared data; DigitsError while another process runs the same study, when no
    cluster answers, or when no trial finished.
    """
    say(f"study {plan.name}: loading the data and Optuna")
    data = (dataset.load_split(root / TRAIN), dataset.load_split(root / VALIDATION))
    about = {
        "space": {d.key: d.spec for d in plan.space},
        "params": plan.base,
        "data": [dataset.array_sha256(array) for split in data for array in (split.images, split.labels)],
    }
    with study.open_study(root, plan.name, about, plan.sampler, plan.seed, prune=plan.prune) as optuna_study:
        done = len(study.rows(optuna_study, plan.space))
        missing = study.enqueue_missing(optuna_study, plan.space, plan.sampler, plan.trials)
        say(f"{count(done, 'trial')} done, {missing} to go, {plan.workers} at a time")
        if missing:
            try:
                _run(root, plan, optuna_study, data, done, missing)
            except KeyboardInterrupt:
                trials = f"{len(study.rows(optuna_study, plan.space))} of {count(done + missing, 'trial')}"
                say(f"stopped with {trials} done: the same command goes on there")
                raise
        result = report.write(root, plan, optuna_study)
    if not result.winner:
        reason = next((row.error for row in result.rows if row.error), "see the table")
        raise DigitsError(f"none of {count(len(result.rows), 'trial')} finished: {reason}")
    return replace(result, experiments=_experiments(root, plan, result.rows))


def _experiments(root: Path, plan: Plan, rows: list[Row]) -> tuple[str, ...]:
    try:
        profile = str(plan.base["profile"])
        return tuple(experiments.record(root, plan.name, profile, rows))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        say(
            f"trials were not recorded as DVC experiments ({' '.join(reason.split())}); the table is complete"
        )
        return ()


def _run(
    root: Path, plan: Plan, optuna_study: Any, data: tuple[Split, Split], done: int, missing: int
) -> None:
    stopping, asking = threading.Event(), threading.Lock()
    lost: list[str] = []
    with (
        bar("trials", missing) as advance,
        workers.pool(plan.workers, plan.cluster, trial.warm) as client,
    ):
        advance(0, note="starting Prefect and the workers")
        sent = client.scatter([data], broadcast=True)[0]  # workers need no shared disk to read it from

        def one(_: int) -> parallel.TaskResult:
            with asking:
                following, settings = study.ask(optuna_study, plan.space)

            def train(reply: workers.Report) -> dict[str, Any]:
                section = space.section(plan.base, settings)

                def tell(share: float, accuracy: float) -> bool:
                    advance(0, note=f"trial {following.number + 1} at {share:.0%}: {accuracy:.2%}")
                    return reply(share, accuracy)

                scored: dict[str, Any] = workers.work(client, stopping, tell, trial.train, sent, section)
                return scored

            try:
                result = trial.run_in_study(optuna_study, following, settings, train)
            except DigitsError as error:  # it stays open in the study, and is tried again
                lost.append(f"trial {following.number + 1} was not done: {error}")
                result = parallel.TaskResult("Lost", lost[-1], ok=False)
            if not stopping.is_set():
                say(result.line)
                advance()
            return result

        parallel.run(
            root,
            "sweep",
            f"{plan.name}: {count(missing, 'trial')} of {plan.base['profile']}",
            [f"trial {done + place + 1}" for place in range(missing)],
            plan.workers,
            one,
            lambda: report.page(plan, study.rows(optuna_study, plan.space)),
            stopping,
        )
    if lost:
        raise DigitsError(f"{lost[0]} ({len(lost)} of {missing}): run the same command again to go on")
