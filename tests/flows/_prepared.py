"""A project's folder with tiny prepared data, and commands run in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from digits import dataset
from digits.dataset import Split
from tests._digits import digits
from tests._project import ROOT, environment, python_path


class Prepared:
    """The folder, which has no test images, and the environment of its commands."""

    def __init__(self, where: Path, *, train: int = 240, validation: int = 100) -> None:
        self.root, home = where / "project", where / "home"
        for folder in (self.root / "data" / "prepared", home):
            folder.mkdir(parents=True)
        for name, n, seed in (("train", train, 1), ("validation", validation, 2)):
            images, labels = digits(n, seed)
            dataset.save_split(
                self.root / "data" / "prepared" / name, Split(images, labels, np.full(n, "synthetic"))
            )
        tree = yaml.safe_load((ROOT / "params.yaml").read_text())
        tree["train"] |= {"steps": 24, "batch": 60, "xla": "nothing", "validation_every": 1}
        (self.root / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        (self.root / "dvc.yaml").write_text("stages: {}\n")
        self.environment = environment(home) | {
            "PYTHONPATH": python_path(),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }

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

    def digits(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `digits …` to its end."""
        process = self.start(*arguments)
        said, errors = process.communicate(timeout=500)
        return subprocess.CompletedProcess(arguments, process.returncode, said, errors)

    def json(self, path: str) -> dict:
        return json.loads((self.root / path).read_text())
