"""Runs `dvc repro`, one run at a time, and follows it stage by stage; children end with it.

DVC decides what is stale. This adds what DVC can't know: that a data source answers again after a run had to
use the sample; and it tells which stages ran, which were cached, and how long each took.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from digits import STAGES, files
from digits.ingest import sources
from digits.pipeline import dvc_process, screen
from digits.runtime import params, progress
from digits.runtime.progress import Progress

NAMES = re.compile(r"^(?:Running stage|Stage) '([^']+)'")  # the first line of DVC's output about a stage
RESTORED = re.compile(r"^Stage '.*' is cached")  # its outputs come from DVC's cache
REASON = re.compile(r"^ERROR: (.*)")
SILENT = "DVC ended without a message"


@dataclass(frozen=True)
class StageRun:
    """The outcome of one stage: ran, cached (nothing it needs has changed), restored (from DVC's cache) or
    failed.
    """

    stage: str
    outcome: str
    seconds: float = 0.0  # of the wall, with the start of processes
    error: str = ""
    code: int = 0  # the stage's own exit code, where it ran


@dataclass(frozen=True)
class Run:
    """One `dvc repro`: its stages in order, wall time in seconds, whether all went well. error: DVC's own."""

    stages: list[StageRun]
    seconds: float
    ok: bool
    error: str = ""


class Watcher(Protocol):
    """What is told of a stage at work."""

    def say(self, line: str) -> None:
        """Take a line that the stage says to the user."""

    def move(self, progress: Progress) -> None:
        """Take how far the stage is."""

    def note(self, line: str) -> None:
        """Take any other line of the output, DVC's own among them."""


class Steps:
    """A running `dvc repro` that is followed stage by stage."""

    def __init__(self, root: Path, log: Path, commands: Sequence[Sequence[str]]) -> None:
        self._root, self._log = root, log
        self._commands = list(commands)
        self._child: subprocess.Popen[str] | None = None
        self._ahead: str | None = None  # a line of the next stage, read too early
        self._code: int | None = None
        self._began = time.monotonic()
        self._stages: list[StageRun] = []
        self._error = ""  # DVC's own last one

    def stage(self, stage: str, watcher: Watcher) -> StageRun | None:
        """Wait until DVC has finished a stage; None when DVC did not look at it.

        To be called in stage order.
        """
        began, later = time.monotonic(), STAGES[STAGES.index(stage) + 1 :]
        outcome = ""
        for line in self._lines():
            named = NAMES.match(line)
            if named and named[1] in later and len(self._commands) == 0:
                self._ahead = line
                break
            if named and named[1] == stage:
                ran = line.startswith("Running")
                outcome = "failed" if ran else "restored" if RESTORED.match(line) else "cached"
            if reason := REASON.match(line):
                self._error = reason[1]
            self._tell(watcher, line)
        done = StageRun(stage, outcome, time.monotonic() - began, self._error or SILENT, code=1)
        if record := read_records(self._log).get(stage):
            ended, code = "ran" if record["ok"] else "failed", int(str(record.get("code", 0)))
            done = replace(done, outcome=ended, error=str(record.get("error", "")), code=code)
        elif outcome in ("cached", "restored"):
            done = replace(done, error="", code=0)
        elif not self._code:
            return None
        else:  # what DVC itself fails at, such as a cache on a full disk
            done = replace(done, outcome="failed")
        self._stages.append(done)
        return done

    def finish(self) -> Run:
        """Return the whole run, after the last stage."""
        for _ in self._lines():
            pass
        return Run(self._stages, time.monotonic() - self._began, self._code == 0, self._error)

    def close(self) -> None:
        """End what is still running: the stage first, for its last output."""
        if self._child:
            dvc_process.end(self._child)

    @staticmethod
    def _tell(watcher: Watcher, line: str) -> None:
        said = progress.parse(line)
        if said is None:
            watcher.note(line)
        elif isinstance(said, str):
            watcher.say(said)
        else:
            watcher.move(said)

    def _lines(self) -> Iterator[str]:
        if self._ahead is not None:
            line, self._ahead = self._ahead, None
            yield line
        while self._code in (None, 0) and (self._child or self._commands):
            if self._child is None:
                command = self._commands.pop(0)
                self._child = dvc_process.start(self._root, self._log, command)
            assert self._child.stdout
            for line in self._child.stdout:
                yield line.rstrip("\n")
            self._code = self._child.wait()
            self._child.stdout.close()
            self._child = None
            if self._code:
                self._commands.clear()


# Follows one stage, as `follow` does; Prefect's tasks do it too. Returns the stage's run.
Follow = Callable[[Steps, str], StageRun | None]

REINGEST = ("repro", "--single-item", "--force", "--no-run-cache", "ingest")


@contextlib.contextmanager
def steps(root: Path, *targets: str, reingest: bool = False, force: str | None = None) -> Iterator[Steps]:
    """Bring the targets (all stages without any) up to date, one after another as they are asked for.

    reingest: first run ingest without DVC's cache. force: a stage to run though nothing it needs has changed.
    Raises DigitsError when another run is active in the same folder.
    """
    commands: list[tuple[str, ...]] = [REINGEST] if reingest else []
    if force:
        commands.append(("repro", "--force", "--single-item", force))
    with dvc_process.run_lock(root), tempfile.TemporaryDirectory(prefix="digits-run-") as scratch:
        dvc_process.drop_dead_locks(root)
        made = Steps(root, Path(scratch) / "stages.jsonl", [*commands, ("repro", *targets)])
        try:
            yield made
        finally:
            made.close()


def follow(steps: Steps, stage: str) -> StageRun | None:
    """Wait until DVC has finished a stage, and show it on the screen."""
    with screen.current().step(stage) as step:
        done = steps.stage(stage, step)
        show_end(step, done)
        return done


RESULTS = {"cached": "nothing has changed", "restored": "restored from the run cache"}


def show_end(step: screen.Step, done: StageRun | None) -> None:
    """Show how a stage ended; nothing of one that DVC did not look at."""
    step.shown = done is not None
    if done:
        step.outcome = done.outcome
        step.result = done.error or RESULTS.get(done.outcome, step.result)


def bring_up_to_date(root: Path, *targets: str, force: str | None = None, follow: Follow = follow) -> Run:
    """Run the targets and what they need, all stages without any, as far as they are stale, until one fails.

    Ingests anew where a sample stands in for a source that answers by now. force: a stage to run though
    nothing it needs has changed. Raises DigitsError when another run is active in the same folder.
    """
    dvc_process.configure(root)
    first = None
    if not (root / "data" / "raw").exists():  # DVC's run cache may hold the sample of an earlier run
        first = _run(root, STAGES[:1], STAGES[:1], follow)
        if not first.ok:
            return first
    source = _source_replacing_sample(root, first)
    if source:
        progress.say(f"{source} answers: its data replace the sample")
    last = max(map(STAGES.index, targets), default=len(STAGES) - 1)
    stages = STAGES[1 if first and not source else 0 : last + 1]
    run = _run(root, targets, stages, follow, reingest=bool(source), force=force)
    if not first:
        return run
    known = {stage.stage: stage for stage in first.stages} | {stage.stage: stage for stage in run.stages}
    return Run(list(known.values()), first.seconds + run.seconds, run.ok, run.error)


def _run(
    root: Path,
    targets: Sequence[str],
    stages: Sequence[str],
    follow: Follow,
    *,
    reingest: bool = False,
    force: str | None = None,
) -> Run:
    with steps(root, *targets, reingest=reingest, force=force) as following:
        for stage in stages:
            done = follow(following, stage)
            if done and done.outcome == "failed":
                break
        return following.finish()


def up_to_date(root: Path) -> bool:
    """Whether every stage is, as DVC says without running any; a sample that a source can replace is not."""
    dvc_process.configure(root)
    if not (root / "data" / "raw").exists() or _source_replacing_sample(root, None):
        return False
    with dvc_process.run_lock(root):
        dvc_process.drop_dead_locks(root)
        printed = dvc_process.output(root, ("status", "--json"))
        return printed.strip().rpartition("\n")[2] == "{}"


def _source_replacing_sample(root: Path, first: Run | None) -> str | None:
    """Return the source that can replace the sample now; None where the data stay. first: a run of ingest."""
    restored = first is None or first.stages[0].outcome != "ran"
    manifest = root / "data" / "raw" / "manifest.json"
    if not (restored and manifest.exists() and files.read_json(manifest).get("sample")):
        return None
    return sources.available(params.load("ingest", root / "params.yaml"))


def failed_stage(run: Run) -> StageRun | None:
    """Return the stage that failed, if one did."""
    return next((stage for stage in run.stages if stage.outcome == "failed"), None)


def failure(run: Run) -> str:
    """Return the error line of a run that failed."""
    failed = failed_stage(run)
    return f"{failed.stage}: {failed.error}" if failed else run.error or SILENT


def read_records(log: Path) -> dict[str, dict[str, object]]:
    """Return what each stage that ran wrote at its end, by stage."""
    if not log.exists():
        return {}
    return {str(r["stage"]): r for r in map(json.loads, log.read_text(encoding="utf-8").splitlines())}
