"""Records trials as DVC experiments, for `dvc exp show`, `diff` and `apply`. The sweep calls it at its end.

DVC would run every experiment in the working tree or a copy of it, the whole pipeline each time. A trial only
trains, so its experiment is written as DVC writes one: a commit on top of HEAD under refs/exps, on no branch.
It has the tracked files as they are, params.yaml with the trial's settings, and the trial's figures on
validation; the metrics of the model at HEAD, which are not this trial's, are left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from digits import files
from flows.search.space import Settings
from flows.search.study import Row

EXCLUDED = tuple(f"reports/{name}.json" for name in ("edge", "metrics", "summary", "verdict"))
FIGURES = "reports/sweeps/trial.json"
_BARE = re.compile(r"(:\s+-?\d+)(e[-+]\d+)\b")  # 1e-05 as DVC writes it: YAML 1.1 reads text, not 1.0e-05
METRICS_FILE = "reports/sweeps/dvc.yaml"  # DVC reads these in any folder


def record(root: Path, study: str, profile: str, rows: Sequence[Row]) -> list[str]:
    """Make an experiment of every complete trial that has none yet; return all names, `<study>-<number>`.

    Empty without Git or a commit. Raises CalledProcessError when Git fails.
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        base = _git(root, "rev-parse", "--verify", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return []
    if Path(top).resolve() != root.resolve():
        return []
    known = set(_git(root, "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split())
    whole = [row for row in rows if row.outcome == "complete"]
    new = [row for row in whole if f"{study}-{row.number}" not in known]
    if new:
        with tempfile.TemporaryDirectory(prefix="digits-sweep-") as scratch:
            _write(root, Path(scratch), base, study, profile, new)
    return [f"{study}-{row.number}" for row in whole]


def _write(root: Path, scratch: Path, base: str, study: str, profile: str, rows: Sequence[Row]) -> None:
    index = {"GIT_INDEX_FILE": str(scratch / "index")}
    _git(root, "read-tree", base, more=index)
    _git(root, "add", "--update", more=index)
    _git(root, "rm", "--cached", "--ignore-unmatch", "-q", *EXCLUDED, more=index)
    metrics = scratch / "dvc.yaml"
    metrics.write_text(f"metrics:\n  - {Path(FIGURES).name}\n")
    for row in rows:
        changed = _params(root, scratch, {"train.profile": profile, **row.settings})
        figures = scratch / "trial.json"
        files.write_json(figures, {"validation": {"accuracy": row.accuracy, "loss": row.loss}})
        entries = {"params.yaml": changed, FIGURES: figures, METRICS_FILE: metrics}
        for name, path in entries.items():
            blob = _git(root, "hash-object", "-w", "--no-filters", str(path))
            _git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", more=index)
        tree = _git(root, "write-tree", more=index)
        message = f"dvc: commit experiment {study}-{row.number}"
        commit = _git(root, "commit-tree", tree, "-p", base, "-m", message, more=_identity(root))
        _git(root, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{study}-{row.number}", commit)


def _params(root: Path, scratch: Path, settings: Settings) -> Path:
    """Write params.yaml with the settings of a trial, as `dvc exp run -S` would, with its comments kept."""
    from dvc.utils.serialize import modify_yaml

    changed = scratch / "params.yaml"
    changed.write_bytes((root / "params.yaml").read_bytes())
    with modify_yaml(str(changed)) as tree:
        for key, value in settings.items():
            *path, last = key.split(".")
            place = tree
            for step in path:
                place = place[step]
            place[last] = value
    text = changed.read_text(encoding="utf-8")
    changed.write_text(_BARE.sub(r"\1.0\2", text), encoding="utf-8")
    return changed


def _identity(root: Path) -> dict[str, str]:
    """Environment variables with an author of commits, if Git knows none."""
    try:
        _git(root, "var", "GIT_COMMITTER_IDENT")
        return {}
    except subprocess.CalledProcessError:
        parts = {"NAME": "digits sweep", "EMAIL": "digits@localhost"}
        return {f"GIT_{who}_{part}": v for who in ("AUTHOR", "COMMITTER") for part, v in parts.items()}


def _git(root: Path, *arguments: str, more: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        env=os.environ | (more or {}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
