"""What a `kill -9` leaves at each step of an action."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

READING = {
    *("rev-parse", "ls-tree", "cat-file", "log", "show", "config", "for-each-ref", "ls-files", "ls-remote")
}


def kills(folder: Path, to: Path, act: Callable[[], object]) -> list[Path]:
    """Act, and return copies of the folder as it was before each change, the last one after all.

    A change is a rename, a removal, a new folder, or a command that does more than read. A process that is
    killed leaves what is on the disk then and nothing else, so a copy of it is as good as a kill, and the
    steps before it need not be repeated for each. A step that changed nothing in the folder has no copy.
    """
    made: list[Path] = []
    seen: dict[str, object] = {}

    def step(original):
        def stepping(*args, **kwargs):
            if args and isinstance(args[-1], list) and READING & set(args[-1]):  # a command
                return original(*args, **kwargs)
            undisturbed()
            return original(*args, **kwargs)

        return stepping

    def undisturbed():
        with pytest.MonkeyPatch.context() as plain:
            for name, original in originals.items():
                plain.setattr(os, name, original)
            if (now := _content(folder)) == seen.get("last"):
                return
            seen["last"] = now
            made.append(shutil.copytree(folder, to / str(len(made)), symlinks=True))

    originals = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "rmdir", "mkdir")}
    with pytest.MonkeyPatch.context() as patch:
        for name, original in originals.items():
            patch.setattr(os, name, step(original))
        patch.setattr(subprocess.Popen, "__init__", step(subprocess.Popen.__init__))
        act()
    undisturbed()
    return made


def _content(folder: Path) -> dict[str, bytes | None]:
    """The files below a folder, but what DVC keeps for speed alone, and the folders."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if ".dvc/tmp" not in str(path)
    }
