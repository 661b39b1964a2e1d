"""Describes the machine and the code of a run, for its records; no host names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Return CPU, cores, memory, software, and the load before the run."""
    text = _read("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    software = {name: version(name) for name in ("tensorflow", "keras", "numpy", "dvc")}
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "bf16": bool(flags & {"avx512_bf16", "amx_bf16"}),
        "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "load": os.getloadavg()[0],
        "software": ", ".join(
            [
                f"Python {platform.python_version()}",
                *(f"{name} {number}" for name, number in software.items()),
            ]
        ),
    }


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def git(root: Path, *arguments: str) -> str | None:
    """Return the output of a Git command; None where there is no Git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def commit(root: Path) -> tuple[str, bool]:
    """Return (short commit, whether tracked files have been changed since)."""
    name = git(root, "rev-parse", "--short", "HEAD")
    changed = git(root, "status", "--porcelain", "--untracked-files=no")
    return (name or "unknown").strip(), bool(changed and changed.strip())
