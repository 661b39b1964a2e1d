"""Drives `dvc repro`: one run at a time, followed stage by stage; children end with it, a sample heals.

DVC decides what is stale. This adds what DVC can't know: that a data source answers again after a run had to
make do with the sample; and it reports which stages ran, which were cached, and how long each took.
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

NAMES = re.compile(r"^(?:Running stage|Stage) '([^']+)'")  # how DVC begins to tell of a stage
REASON = re.compile(r"^ERROR: (.*)")


class Steps:
    """A `dvc repro` at work, followed stage by stage. Its output comes as lines."""

    def __init__(self, root: Path, log: Path, commands: Sequence[Sequence[str]]) -> None:
        self._root, self._log = root, log
        self._commands = list(commands)
        self._child: subprocess.Popen[str] | None = None
        self._ahead: str | None = None  # a line of the next stage, read too early
        self._code: int | None = None
        self._began = time.monotonic()
        self._told: list[StageRun] = []
        self.error = ""  # DVC's own last one

    def stage(self, stage: str, tell: Callable[[str], None] = print) -> StageRun:
        """Wait until DVC is done with a stage, `tell` each line that it says meanwhile. Stages in order."""
        later = STAGES[STAGES.index(stage) + 1 :]
        for line in self._lines():
            named = NAMES.match(line)
            if named and named[1] in later and len(self._commands) == 0:
                self._ahead = line
                break
            if reason := REASON.match(line):
                self.error = reason[1]
            tell(line)
        found = outcome(self._ended(), stage, self._code)
        self._told.append(found)
        return found

    def finish(self) -> Run:
        """What became of all of it, once the last stage was asked for."""
        for _ in self._lines():
            pass
        stages = [outcome(self._ended(), stage, self._code) for stage in STAGES]
        return Run(stages, time.monotonic() - self._began, self._code == 0, self.error)

    def close(self) -> None:
        """End what still runs: the stage first, so that it can say what it has to."""
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
        return records(self._log)


@contextlib.contextmanager
def steps(root: Path, *targets: str, reingest: bool = False, force: str | None = None) -> Iterator[Steps]:
    """Bring the targets (all stages without any) up to date, one after another as they are asked for.

    reingest: first past DVC's cache for ingest. force: a stage that runs though nothing it needs has changed.
    Raises DigitsError when another run is at work in the same tree.
    """
    commands: list[tuple[str, ...]] = [REINGEST] if reingest else []
    if force:
        commands.append(("repro", "--force", "--single-item", force))
    with dvc_process.alone(root), tempfile.TemporaryDirectory(prefix="digits-run-") as scratch:
        dvc_process.heal(root)
        made = Steps(root, Path(scratch) / "stages.jsonl", [*commands, ("repro", *targets)])
        try:
            yield made
        finally:
            made.close()


REINGEST = ("repro", "--single-item", "--force", "--no-run-cache", "ingest")


@dataclass(frozen=True)
class StageRun:
    """What became of one stage: ran, cached, failed or not reached."""

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
    """Bring the targets (all stages without any) up to date, first past DVC's cache for ingest if asked.

    Output goes straight to this process's own, so that progress stays live.
    Raises DigitsError when another run is at work in the same tree.
    """
    started = time.monotonic()
    with dvc_process.alone(root), tempfile.TemporaryDirectory(prefix="digits-run-") as scratch:
        log = Path(scratch) / "stages.jsonl"
        dvc_process.heal(root)
        code = dvc_process.wait(dvc_process.start(root, log, REINGEST)) if reingest else 0
        if code == 0:
            code = dvc_process.wait(dvc_process.start(root, log, ("repro", *targets)))
        ended = records(log)
    stages = [outcome(ended, stage, code) for stage in STAGES]
    return Run(stages, time.monotonic() - started, code == 0)


def up_to_date(root: Path, *targets: str, say: Callable[[str], None] = print) -> Run:
    """`repro`, and past DVC's cache where a sample stands in for a source that answers by now."""
    dvc_process.without_git(root)
    first = before(root)
    if first and not first.ok:
        return first
    source = healing_source(root, first)
    if source:
        say(f"{source} answers: taking the data from there in place of the sample")
    run = repro(root, *targets, reingest=bool(source))
    return together(first, run) if first else run


def before(root: Path) -> Run | None:
    """Ingest where nothing is ingested yet: DVC's run cache may hold the sample of an earlier run."""
    return None if (root / "data" / "raw").exists() else repro(root, "ingest")


def healing_source(root: Path, first: Run | None) -> str | None:
    """The source that takes a sample's place from now on; None where the data stay. first: of `before`."""
    restored = first is None or first.stages[0].outcome == "cached"
    if not (restored and made_from_sample(root)):
        return None
    return sources.available(params.load("ingest", root / "params.yaml"))


def made_from_sample(root: Path) -> bool:
    """Whether the ingested data are the sample that stands in when no source answers."""
    manifest = root / "data" / "raw" / "manifest.json"
    return manifest.exists() and bool(files.read_json(manifest).get("sample"))


def together(first: Run, then: Run) -> Run:
    """Two runs as one: a stage that the first ran is not merely cached because the second found it done."""
    stages = [
        a if a.outcome == "ran" and b.outcome == "cached" else b
        for a, b in zip(first.stages, then.stages, strict=True)
    ]
    return Run(stages, first.seconds + then.seconds, then.ok, then.error)


def failure(run: Run) -> DigitsError | None:
    """The first failed stage as an error of one line; None when all went well."""
    if run.ok:
        return None
    failed = [stage for stage in run.stages if stage.outcome == "failed"]
    return DigitsError(
        f"{failed[0].stage}: {failed[0].error}" if failed else run.error or "DVC says why above"
    )


def records(log: Path) -> dict[str, dict[str, object]]:
    """Return what each stage that ran wrote at its end, by stage."""
    if not log.exists():
        return {}
    return {str(r["stage"]): r for r in map(json.loads, log.read_text(encoding="utf-8").splitlines())}


def outcome(ended: dict[str, dict[str, object]], stage: str, code: int | None) -> StageRun:
    """What became of a stage. code: DVC's exit code; None while it runs, when what it passed
    by without a word was cached.
    """
    if record := ended.get(stage):
        became = "ran" if record["ok"] else "failed"
        error, ended_with = str(record.get("error", "")), int(str(record.get("code", 0)))
        return StageRun(stage, became, float(str(record["seconds"])), error, ended_with)
    last = max((STAGES.index(name) for name in ended if name in STAGES), default=-1)
    cached = not code or STAGES.index(stage) < last
    return StageRun(stage, "cached" if cached else "not reached")
