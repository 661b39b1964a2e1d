"""Shell helper: one `dvc repro`, followed stage by stage while it works."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from digits import STAGES
from digits.pipeline import dvc_process
from digits.pipeline.repro import REINGEST, Run, StageRun, outcome, records

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
