"""A project's folder → the commit that its code is at, and whether something in it differs from that."""

from __future__ import annotations

import subprocess
from pathlib import Path


def origin(root: Path) -> dict[str, str | bool | None]:
    """`commit` and `dirty`; both None outside of Git: an unpacked archive, or a machine without it."""
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != root.resolve():
        return {"commit": None, "dirty": None}
    changed = _git(root, "status", "--porcelain")
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
