"""Measures the pipeline in a fresh copy of the working tree: each stage, and a run with nothing to do."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import account
from bench.machine import git
from bench.records import Record
from digits.runtime.errors import DigitsError

IDLE_RUNS = 5


def measure(root: Path, log: Path, say: Callable[[str], None]) -> list[Record]:
    """Measure each stage of one full `dvc repro`, then `dvc repro` with nothing to do, a few times.

    Raises DigitsError when the first does not succeed; `log` holds its output.
    """
    with _copy(root) as clone:
        stages = clone.parent / "stages.jsonl"
        environment = _environment(clone, _shim(clone.parent / "bin", stages))
        command = [sys.executable, "-m", "dvc", "repro"]
        say("pipeline: dvc repro in a fresh copy")
        whole = _ok(command, clone, environment, log)
        lines = stages.read_text(encoding="utf-8").splitlines()
        records: list[Record] = [{"kind": "stage", **json.loads(line)} for line in lines]
        idle = []
        for turn in range(IDLE_RUNS):
            say(f"pipeline: dvc repro with nothing to do, {turn + 1} of {IDLE_RUNS}")
            idle.append(_ok(command, clone, environment, log).wall)
        if len(stages.read_text(encoding="utf-8").splitlines()) != len(lines):
            raise DigitsError(f"the second `dvc repro` ran stages again, expected none: see {log}")
    dvc_cpu = whole.cpu - sum(float(record["cpu"]) for record in records)
    return [*records, {"kind": "repro", "wall": whole.wall, "dvc_cpu": dvc_cpu, "noop": idle}]


def cold(root: Path, log: Path, say: Callable[[str], None]) -> list[Record]:
    """Measure `make run` in a fresh copy without environment, package caches or data source."""
    with _copy(root) as clone:
        caches = clone.parent / "caches"
        environment = {k: v for k, v in os.environ.items() if k not in ("DIGITS_MIRROR", "VIRTUAL_ENV")}
        own = str(Path(sys.executable).parent)
        paths = [path for path in environment["PATH"].split(os.pathsep) if path != own]
        environment |= {"PATH": os.pathsep.join(paths), "UV_CACHE_DIR": str(caches), "PIP_NO_CACHE_DIR": "1"}
        say("cold: make run in a fresh copy, packages downloaded")
        used = _ok(["make", "run"], clone, environment, log)
        manifest = json.loads((clone / "data" / "raw" / "manifest.json").read_text(encoding="utf-8"))
    return [{"kind": "cold", "wall": used.wall, "cpu": used.cpu, "sample": manifest["sample"]}]


@contextlib.contextmanager
def _copy(root: Path) -> Iterator[Path]:
    """Yield a copy of the working tree as Git sees it, changes included, in its own repository, without
    dvc.lock.
    """
    listed = git(root, "ls-files", "-co", "--exclude-standard", "-z")
    if listed is None:
        raise DigitsError("the pipeline is measured in a copy of the tracked files: run this in a Git clone")
    with tempfile.TemporaryDirectory(prefix="digits-bench-") as scratch:
        clone = Path(scratch) / "digits"
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file() and name != "dvc.lock":
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, clone / name)
        author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        for arguments in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "copy"]):
            subprocess.run(["git", *arguments], cwd=clone, check=True, capture_output=True)
        yield clone


def _shim(folder: Path, log: Path) -> Path:
    """Return a folder with a `python` that measures what it runs."""
    folder.mkdir()
    script = folder / "python"
    words = [sys.executable, "-m", "bench.account", str(log)]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return folder


def _environment(clone: Path, shim: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{shim}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{clone / 'src'}{os.pathsep}{clone}",
        "DVC_NO_ANALYTICS": "1",
    }


def _ok(command: list[str], cwd: Path, env: dict[str, str], log: Path) -> account.Usage:
    with log.open("ab") as stream:
        used = account.run(command, cwd=cwd, env=env, log=stream)
    if used.code:
        raise DigitsError(f"`{shlex.join(command[-2:])}` ended with {used.code}, expected 0: see {log}")
    return used
