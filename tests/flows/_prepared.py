"""A project's folder with tiny prepared data, and commands run in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from digits import dataset
from digits.dataset import Split
from tests import _project
from tests._digits import digits
from tests._project import ROOT, environment, python_path


class Prepared(_project.Project):
    """The folder, which has no test images, and the environment of its commands."""

    def __init__(self, where: Path) -> None:
        (where / "home").mkdir()
        variables = {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        super().__init__(where / "project", environment(where / "home") | variables)
        for name, n, seed in (("train", 240, 1), ("validation", 100, 2)):
            images, labels = digits(n, seed)
            whole = Split(images, labels, np.full(n, "synthetic"))
            dataset.save_split(self.root / "data" / "prepared" / name, whole)
        shutil.copy(ROOT / "params.yaml", self.root)
        self.edit({"train": {"steps": 24, "batch": 60, "xla": "nothing", "validation_every": 1}})
        (self.root / "dvc.yaml").write_text("stages: {}\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `digits …` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "digits_cli", *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def json(self, path: str) -> dict:
        return json.loads((self.root / path).read_text())
