"""Runs `dvc repro`, one run at a time, and reports each stage; children end with it.

DVC decides what is stale. This adds what DVC can't know: that a data source answers again after a run had to
use the sample; and it reports which stages ran, which were cached, and how long each took.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from digits import STAGES, files
from digits.ingest import sources
from digits.pipeline import dvc_process
from digits.runtime import params
from digits.runtime.errors import DigitsError

NAMES = re.compile(r"^(?:Running stage|Stage) '([^']+)'")  # the first line of DVC's output about a stage
REASON = re.compile(r"^ERROR: (.*)")
# What DVC says of itself between the lines of the stages: which stage begins is known, and nothing is left to
# do by hand.
OWN = re.compile(
    r"^(Running stage '|Stage '.*skipping|> |(Generating|Updating) lock file|To track the changes with git|"
    r"\s*git add |To enable auto staging|\s*dvc config core.autostage|Use `dvc push`|\s*$)"
)


class Steps:
    """A running `dvc repro` that is followed stage by stage. Its output comes as lines."""

    def __init__(self, root: Path, log: Path, commands: Sequence[Sequence[str]]) -> None:
        self._root, self._log = root, log
        self._commands = list(commands)
        self._child: subprocess.Popen[str] | None = None
        self._ahead: str | None = None  # a line of the next stage, read too early
        self._code: int | None = None
        self._began = time.monotonic()
        self._reported: list[StageRun] = []
        self.error = ""  # DVC's own last one

    def stage(self, stage: str, tell: Callable[[str], None] = print) -> StageRun:
        """Wait until DVC has finished a stage, passing on each line of its output but DVC's own remarks.

        To be called in stage order.
        """
        later = STAGES[STAGES.index(stage) + 1 :]
        for line in self._lines():
            named = NAMES.match(line)
            if named and named[1] in later and len(self._commands) == 0:
                self._ahead = line
                break
            if reason := REASON.match(line):
                self.error = reason[1]
            if not OWN.match(line):
                tell(line)
        found = stage_run(self._ended(), stage, self._code)
        self._reported.append(found)
        return found

    def finish(self) -> Run:
        """Return the whole run, after the last stage."""
        for _ in self._lines():
            pass
        stages = [stage_run(self._ended(), stage, self._code) for stage in STAGES]
        return Run(stages, time.monotonic() - self._began, self._code == 0, self.error)

    def close(self) -> None:
        """End what is still running: the stage first, for its last output."""
        if self._child:
            dvc_process.end(self._child)

    def _lines(self) -> Iterator[str]:
        if self._ahead is not None:
            line, self._ahead = self._ahead, None
            yield line
        while self._code in (None, 0) and (self._child or self._commands):
            if self._child is None:
                command = self._commands.pop(0)
                self._child = dvc_process.start(self._root, self._log, command, stdout=subprocess.PIPE)
            assert self._child.stdout
            for line in self._child.stdout:
                yield line.rstrip("\n")
            self._code = self._child.wait()
            self._child.stdout.close()
            self._child = None
            if self._code:
                self._commands.clear()

    def _ended(self) -> dict[str, dict[str, object]]:
        return read_records(self._log)


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


REINGEST = ("repro", "--single-item", "--force", "--no-run-cache", "ingest")


@dataclass(frozen=True)
class StageRun:
    """The outcome of one stage: ran, cached, failed or not reached."""

    stage: str
    outcome: str
    seconds: float = 0.0
    error: str = ""
    code: int = 0  # the stage's own exit code, where it ran


@dataclass(frozen=True)
class Run:
    """One `dvc repro`: its stages in order, wall time in seconds, whether all went well. error: DVC's own."""

    stages: list[StageRun]
    seconds: float
    ok: bool
    error: str = ""


def repro(root: Path, *targets: str, reingest: bool = False) -> Run:
    """Bring the targets (all stages without any) up to date; reingest: first run ingest without DVC's cache.

    Output goes straight to this process's own, so that progress stays live.
    Raises DigitsError when another run is active in the same folder.
    """
    started = time.monotonic()
    with dvc_process.run_lock(root), tempfile.TemporaryDirectory(prefix="digits-run-") as scratch:
        log = Path(scratch) / "stages.jsonl"
        dvc_process.drop_dead_locks(root)
        code = dvc_process.wait(dvc_process.start(root, log, REINGEST)) if reingest else 0
        if code == 0:
            code = dvc_process.wait(dvc_process.start(root, log, ("repro", *targets)))
        ended = read_records(log)
    stages = [stage_run(ended, stage, code) for stage in STAGES]
    return Run(stages, time.monotonic() - started, code == 0)


def bring_up_to_date(root: Path, *targets: str, say: Callable[[str], None] = print) -> Run:
    """Do `repro`, and ingest anew where a sample stands in for a source that answers by now."""
    dvc_process.configure(root)
    first = ingest_if_missing(root)
    if first and not first.ok:
        return first
    source = source_replacing_sample(root, first)
    if source:
        say(f"{source} answers: using its data instead of the sample")
    run = repro(root, *targets, reingest=bool(source))
    return merge_runs(first, run) if first else run


def ingest_if_missing(root: Path) -> Run | None:
    """Ingest where nothing is ingested yet: DVC's run cache may hold the sample of an earlier run."""
    return None if (root / "data" / "raw").exists() else repro(root, "ingest")


def source_replacing_sample(root: Path, first: Run | None) -> str | None:
    """Return the source that can replace the sample now; None where the data stay.

    first: the result of `ingest_if_missing`.
    """
    restored = first is None or first.stages[0].outcome == "cached"
    if not (restored and uses_sample(root)):
        return None
    return sources.available(params.load("ingest", root / "params.yaml"))


def uses_sample(root: Path) -> bool:
    """Return whether the ingested data are the sample that stands in when no source answers."""
    manifest = root / "data" / "raw" / "manifest.json"
    return manifest.exists() and bool(files.read_json(manifest).get("sample"))


def merge_runs(first: Run, then: Run) -> Run:
    """Merge two runs into one: a stage that ran in the first is not merely cached because the second found it
    done.
    """
    stages = [
        a if a.outcome == "ran" and b.outcome == "cached" else b
        for a, b in zip(first.stages, then.stages, strict=True)
    ]
    return Run(stages, first.seconds + then.seconds, then.ok, then.error)


def failure(run: Run) -> DigitsError | None:
    """Return the first failed stage as an error of one line; None when all went well."""
    if run.ok:
        return None
    failed = [stage for stage in run.stages if stage.outcome == "failed"]
    return DigitsError(
        f"{failed[0].stage}: {failed[0].error}" if failed else run.error or "see DVC's message above"
    )


def read_records(log: Path) -> dict[str, dict[str, object]]:
    """Return what each stage that ran wrote at its end, by stage."""
    if not log.exists():
        return {}
    return {str(r["stage"]): r for r in map(json.loads, log.read_text(encoding="utf-8").splitlines())}


def stage_run(ended: dict[str, dict[str, object]], stage: str, code: int | None) -> StageRun:
    """Return the outcome of a stage. code: DVC's exit code; None while it runs, when what it passed by
    silently was cached.
    """
    if record := ended.get(stage):
        became = "ran" if record["ok"] else "failed"
        error, ended_with = str(record.get("error", "")), int(str(record.get("code", 0)))
        return StageRun(stage, became, float(str(record["seconds"])), error, ended_with)
    last = max((STAGES.index(name) for name in ended if name in STAGES), default=-1)
    cached = not code or STAGES.index(stage) < last
    return StageRun(stage, "cached" if cached else "not reached")
