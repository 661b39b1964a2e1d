"""Shell helper that drives `dvc repro`: one run at a time, children end with it, a sample heals.

DVC decides what is stale. This adds what DVC can't know: that a data source answers again after a run had to
make do with the sample; and it tells which stages ran, which were cached, and for how long.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from digits import files
from digits.errors import DigitsError
from digits.processes import RUN_PID, die_with_parent
from digits.stages import STAGES

RUN_LOG = "DIGITS_RUN_LOG"  # as digits.stages._main has it: each stage appends a line of JSON when it ends


@dataclass(frozen=True)
class StageRun:
    """What became of one stage: ran, cached, failed or not reached."""

    stage: str
    outcome: str
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Run:
    """One `dvc repro`: its stages in order, its wall time in seconds, whether all went well."""

    stages: list[StageRun]
    seconds: float
    ok: bool


def without_git(root: Path) -> None:
    """Let DVC work in a tree that has no `.git`: an unpacked archive."""
    local = root / ".dvc" / "config.local"
    if not (root / ".git").exists() and not (local.exists() and "no_scm" in local.read_text()):
        with local.open("a") as stream:
            stream.write("[core]\n    no_scm = true\n")


def made_from_sample(root: Path) -> bool:
    """Whether the ingested data are the sample that stands in when no source answers."""
    manifest = root / "data" / "raw" / "manifest.json"
    return manifest.exists() and bool(files.read_json(manifest).get("sample"))


def repro(root: Path, *targets: str, reingest: bool = False) -> Run:
    """Bring the targets (all stages without any) up to date, first past DVC's cache for ingest if asked.

    Output goes straight to this process's own, so that progress stays live.
    Raises DigitsError when another run is at work in the same tree.
    """
    started = time.monotonic()
    with _alone(root), tempfile.TemporaryDirectory(prefix="digits-run-") as scratch:
        log = Path(scratch) / "stages.jsonl"
        code = 0
        _heal(root)
        if reingest:
            code = _dvc(root, log, "repro", "--single-item", "--force", "--no-run-cache", "ingest")
        if code == 0:
            code = _dvc(root, log, "repro", *targets)
        ended = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return Run(_outcomes(ended, code == 0), time.monotonic() - started, code == 0)


def together(first: Run, then: Run) -> Run:
    """Two runs as one: a stage that the first ran is not merely cached because the second found it done."""
    stages = [
        a if a.outcome == "ran" and b.outcome == "cached" else b
        for a, b in zip(first.stages, then.stages, strict=True)
    ]
    return Run(stages, first.seconds + then.seconds, then.ok)


def _outcomes(ended: list[dict[str, object]], ok: bool) -> list[StageRun]:
    by_stage = {str(record["stage"]): record for record in ended}
    last = max((STAGES.index(stage) for stage in by_stage), default=-1)
    runs = []
    for position, stage in enumerate(STAGES):
        if record := by_stage.get(stage):
            outcome = "ran" if record["ok"] else "failed"
            runs.append(StageRun(stage, outcome, float(str(record["seconds"])), str(record.get("error", ""))))
        else:
            runs.append(StageRun(stage, "cached" if ok or position < last else "not reached"))
    return runs


def _dvc(root: Path, log: Path, *arguments: str) -> int:
    """Run DVC in a process group of its own and end that group with this process."""
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        RUN_LOG: str(log),
        RUN_PID: str(os.getpid()),
        "DVC_NO_ANALYTICS": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    child = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )

    def forward(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _heal(root: Path) -> None:
    """Take dead processes out of DVC's record of who reads and writes what: they would keep it from starting.

    DVC itself does so only once the killed process is gone for good, and not where its number is another's by
    now, or where nobody collects it (a container without an init), or where half of the record is left. It is
    not written whole, so a second look makes sure that no `dvc` is at it.
    """
    record = root / ".dvc" / "tmp" / "rwlock"
    for look in range(2):
        try:
            held = json.loads(record.read_text(encoding="utf-8"))
            break
        except FileNotFoundError:
            return
        except ValueError:
            if look:
                record.unlink(missing_ok=True)
                return
            time.sleep(0.5)
    writers = {path: info for path, info in held.get("write", {}).items() if _is_dvc(info)}
    readers = {path: [i for i in infos if _is_dvc(i)] for path, infos in held.get("read", {}).items()}
    alive = {"write": writers, "read": {path: infos for path, infos in readers.items() if infos}}
    if alive != held:
        files.write_text(record, json.dumps(alive))


def _is_dvc(info: dict[str, object]) -> bool:
    """Whether the process that a lock names runs, and is a DVC."""
    import psutil

    try:
        words = psutil.Process(int(str(info["pid"]))).cmdline()  # of a zombie: none
    except (psutil.Error, KeyError, ValueError):
        return False
    return any("dvc" in word for word in words)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the tree's run lock; the kernel lets go of it however this process ends."""
    lock = root / ".dvc" / "tmp" / "digits-run.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise DigitsError(
                f"another run (process {holder}) is at work in this tree: wait for it, or stop it"
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
