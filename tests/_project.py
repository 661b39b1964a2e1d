"""A temporary copy of the project on a tiny data set, driven by real processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests._digits import digits
from tests.ingest._idx import write_idx_dataset

ROOT = Path(__file__).resolve().parents[1]
LINE_FLOORS = ("lines_exact", "lines_clean", "lines_precision", "lines_without_digits")
SCRUBBED = ("DIGITS_", "DVC_", "GIT_", "PREFECT_", "PYTEST_", "COV_")


@dataclass
class Project:
    """A project tree, and the environment that commands in it run under."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, timeout: float = 600, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; its output is captured."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment | extra,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *command: str, **extra: str) -> str:
        """Run a command that must succeed, and return its standard output."""
        done = self.run(*command, **extra)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments, **extra)

    def repro(self, *arguments: str, **extra: str) -> str:
        return self.ok(sys.executable, "-m", "dvc", "repro", *arguments, **extra)

    def digits(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "digits_cli", *arguments, **extra)

    def succeed(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run `digits …`, whose exit code must be 0."""
        done = self.digits(*arguments, **extra)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def commit(self, subject: str) -> None:
        self.ok("git", "add", "-A")
        self.ok("git", "commit", "-qm", subject)

    def edit(self, change: dict) -> None:
        """Merge values into params.yaml, section by section."""
        path = self.root / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        for section, values in change.items():
            tree[section].update(values)
        path.write_text(yaml.safe_dump(tree, sort_keys=False))

    def copy(self, to: Path) -> Project:
        """Copy the project to another folder, with data, models and cache."""
        shutil.copytree(self.root, to, symlinks=True)
        return Project(to, self.environment | {"PYTHONPATH": python_path(to)})


def python_path(root: Path = ROOT) -> str:
    """Return the PYTHONPATH with which commands take every package from a project's folder."""
    return os.pathsep.join(str(root / name) for name in ("src", "", "serving/client", "serving/model_server"))


def environment(home: Path) -> dict[str, str]:
    """Return the machine's environment without what would change a run, and with a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SCRUBBED)}
    scripts = str(Path(sys.executable).parent)
    author = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
    return (
        kept
        | author
        | {k.replace("AUTHOR", "COMMITTER"): v for k, v in author.items()}
        | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "DVC_NO_ANALYTICS": "1"}
        | {"GIT_CONFIG_NOSYSTEM": "1", "XDG_CACHE_HOME": str(home / "cache")}
    )


def project(where: Path, *, train: int = 1200, test: int = 400, git: bool = True) -> Project:
    """Return a copy of this project's files (as Git would take them) configured for synthetic digits."""
    root, home, mirror = where / "project", where / "home", where / "mirror"
    home.mkdir(parents=True)
    for name in source_files():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    (root / "dvc.lock").unlink(missing_ok=True)  # of the real data set
    files = write_idx_dataset(mirror, train=digits(train, seed=1), test=digits(test, seed=2))
    made = Project(root, environment(home) | {"DIGITS_MIRROR": str(mirror), "PYTHONPATH": python_path(root)})
    made.edit(
        {
            "ingest": {"dataset": "synthetic", "sources": [], "files": files, "allow_sample": False},
            "train": {"profile": "speedrun", "steps": 80, "batch": 64, "xla": "nothing"},  # it takes seconds
            "lines": {"profile": "tiny", "validation": 50},  # which reads nothing yet: no floor is above 0
            "evaluate": {"n_test": {"synthetic": test}, "lines_of_a_kind": 20}
            | {name: {"synthetic": 0.0} for name in LINE_FLOORS},
            "convert": {"calibration": 60},
        }
    )
    if git:
        made.ok("git", "init", "-q", "-b", "main")
        made.commit("start")
    return made


MADE = {".venv", ".git", ".checkpoints", ".digits", ".prefect", "cache", "tmp"}
MADE |= {"raw", "validated", "prepared", "candidate", "exported", "edge"}


def source_files() -> list[str]:
    """Return the files that Git would take; in an unpacked archive, all but those that runs leave behind."""
    if (ROOT / ".git").exists():
        listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [name for name in names if name and (ROOT / name).is_file()]
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [str(f) for f in files if not MADE & set(f.parts) and f.name != "config.local"]


TIME = re.compile(rb'"latency_ms": [0-9.e-]+')  # in reports/edge.json: measured anew each time


def tree_digest(root: Path, *paths: str) -> dict[str, str]:
    """Return the digest of every file below the given paths, durations in them left out."""
    import hashlib

    found = {}
    for path in paths:
        top = root / path
        for file in [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file()):
            found[str(file.relative_to(root))] = hashlib.sha256(_content(file)).hexdigest()
    return found


def _content(file: Path) -> bytes:
    return TIME.sub(b"", file.read_bytes()) if file.name == "edge.json" else file.read_bytes()
