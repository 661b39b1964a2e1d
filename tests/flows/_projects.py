"""A tiny project under Git and DVC: stages from data/incoming to the reports, by `python -c`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DVC_YAML = """\
artifacts:
  digits: {path: data/raw, type: model}
stages:
  ingest:
    cmd: >-
      python -c "import os, pathlib; raw = pathlib.Path('data/raw'); raw.mkdir(); found =
      sorted(p.as_posix() for p in pathlib.Path('data/incoming').rglob('*.png'));
      (raw / 'rows.txt').write_text('\\n'.join(found))"
    deps: [data/incoming]
    outs: [data/raw]
  evaluate:
    cmd: >-
      python -c "import json, pathlib; rows = len(pathlib.Path('data/raw/rows.txt').read_text().split());
      pathlib.Path('reports/metrics.json').write_text(json.dumps(dict(accuracy=0.99, rows=rows)))"
    deps: [data/raw]
    metrics:
      - reports/metrics.json: {cache: false}
"""
CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
FILES = {
    "dvc.yaml": DVC_YAML,
    ".dvc/config": CONFIG,
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": ".gitignore\n",
    ".gitignore": "__pycache__/\nmodels/serving/\n*.new-*\n",
    "data/.gitignore": "/raw\n",
    "data/incoming/.gitignore": "# a folder a batch\n",
    "reports/.gitignore": "/figures\n",
    "code.py": "one\n",
}


def sh(root: Path, *command: str) -> str:
    """Run a command that must succeed, and return its standard output."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def dvc(root: Path, *arguments: str) -> str:
    return sh(root, sys.executable, "-m", "dvc", *arguments)


def make(root: Path, branch: str = "main") -> Path:
    """Make the project, committed; its stages have not run."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sh(root, "git", "init", "-q", "-b", branch)
    commit(root, "start")
    return root


def commit(root: Path, subject: str) -> str:
    sh(root, "git", "add", "-A")
    author = ["-c", "user.name=u", "-c", "user.email=u@example.org"]
    sh(root, "git", *author, "commit", "-qm", subject)
    return sh(root, "git", "rev-parse", "HEAD")


def write(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root / name


def batch(inbox: Path, name: str, *pictures: str) -> Path:
    """Put a batch into the inbox: pictures that are text, and a labels.csv."""
    for picture in pictures or ("a", "b"):
        write(inbox, f"{name}/{picture}.png", f"{name} {picture}")
    rows = "".join(f"{picture}.png,1\n" for picture in pictures or ("a", "b"))
    write(inbox, f"{name}/labels.csv", f"file,label\n{rows}")
    return inbox / name


def state(project: Path) -> dict[str, object]:
    """Return all of a project that scheduled retraining must not change: tree, index, branches, HEAD,
    settings.
    """
    ours = {".digits", ".git"}
    tree = {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file()
        and not ours & set(path.relative_to(project).parts)
        and ".dvc/cache" not in str(path)
    }
    return {
        "tree": tree,
        "status": sh(project, "git", "status", "--porcelain"),
        "branches": sh(project, "git", "for-each-ref", "refs/heads", "refs/remotes"),
        "head": (project / ".git" / "HEAD").read_text(),
        "index": sh(project, "git", "ls-files", "--stage"),
        "config": (project / ".git" / "config").read_text(),
    }


def endless(folder: Path) -> None:
    """Make folders in folders, more than a path may have and than Python recurses; `rm -rf` removes them."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
