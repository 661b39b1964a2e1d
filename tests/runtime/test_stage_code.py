"""The digest of the code that a stage depends on."""

import shutil

import pytest

from digits.runtime.errors import DataError
from digits.runtime.stage_code import code_sha256
from tests._project import ROOT


def test_an_edit_of_what_the_stage_depends_on_changes_it_and_none_elsewhere(tmp_path):
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    src = tmp_path / "src" / "digits"
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (src / "train/__pycache__").mkdir()
    (src / "train/__pycache__/loop.cpython-311.pyc").write_bytes(b"0")
    for elsewhere in ("runtime/progress.py", "evaluate/gate.py", "pipeline/repro.py"):
        (src / elsewhere).write_text("# changed\n")
    seen = {code_sha256("train"), code_sha256("train", tmp_path)}
    assert len(seen) == 1
    for file in ("nn/layers.py", "augment/damage.py", "train/loop.py", "normalize.py", "train/new.py"):
        (src / file).write_text("# changed\n")
        seen.add(code_sha256("train", tmp_path))
    assert len(seen) == 6


def test_code_without_its_graph_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"dvc\.yaml is missing.*--editable"):
        code_sha256("train", tmp_path)
