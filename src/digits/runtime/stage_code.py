"""The digest of the code that a stage depends on, as dvc.yaml lists it.

Unfinished work is stored under this digest, so that work begun by other code is never continued: the
checkpoint of a training, and the folds of a cross-validation.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from digits.runtime.errors import DataError

ROOT = Path(__file__).resolve().parents[3]  # the project of the running code, whatever the working directory


def code_sha256(stage: str, root: Path = ROOT) -> str:
    """Return the digest of the names and contents of the files below `src` that a stage depends on.

    Raises DataError where there is no dvc.yaml beside the code.
    """
    try:
        graph = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{root / 'dvc.yaml'} is missing: training needs the project's folder around its code, so "
            "install with `pip install --editable`"
        ) from None
    digest = hashlib.sha256()
    for dep in graph["stages"][stage]["deps"]:
        if dep.startswith("src/"):
            for file in _sources(root / dep):
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _sources(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for kind in ("*.py", "*.j2") for file in path.rglob(kind))
