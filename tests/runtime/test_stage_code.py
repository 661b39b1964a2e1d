"""The digest of the code that a stage depends on."""

import shutil

import pytest

from digits.runtime.errors import DataError
from digits.runtime.stage_code import code_sha256
from tests._project import ROOT


@pytest.fixture
def root(tmp_path):
    """dvc.yaml and src, to be changed."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edited(root, file):
    path = root / "src" / "digits" / file
    path.write_text(path.read_text() + "\n# changed\n")
    return code_sha256("train", root)


@pytest.mark.parametrize("file", ["nn/layers.py", "augment/damage.py", "train/loop.py", "normalize.py"])
def test_an_edit_in_any_package_that_the_stage_depends_on_changes_it(root, file):
    assert code_sha256("train", root) == code_sha256("train") != edited(root, file)


@pytest.mark.parametrize("file", ["runtime/progress.py", "evaluate/gate.py", "pipeline/repro.py"])
def test_an_edit_elsewhere_does_not(root, file):
    assert edited(root, file) == code_sha256("train")


def test_bytecode_does_not_count_and_a_new_module_does(root):
    (root / "src/digits/train/__pycache__").mkdir()
    (root / "src/digits/train/__pycache__/loop.cpython-311.pyc").write_bytes(b"0")
    assert code_sha256("train", root) == code_sha256("train")
    (root / "src/digits/train/new.py").write_text("")
    assert code_sha256("train", root) != code_sha256("train")


def test_code_without_its_graph_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"dvc\.yaml is missing.*--editable"):
        code_sha256("train", tmp_path)
