"""DVC as a child process: what it trusts."""

import os
import subprocess
import sys

import pytest

from digits.pipeline import dvc_process
from digits.runtime.errors import DigitsError
from tests._stand_in import pipeline

SHOW = "from dvc.repo import Repo; print(Repo('.').site_cache_dir)"


def test_dvc_unpickles_nothing_that_other_users_can_write(tmp_path):
    pipeline(tmp_path)
    (tmp_path / ".dvc" / "tmp" / "site").mkdir(mode=0o777, parents=True)
    variables = dvc_process.variables(tmp_path)
    dvc_process.configure(tmp_path)
    plain = {name: value for name, value in os.environ.items() if name not in variables}
    for started in (plain, plain | variables):  # by a person, and by ours
        path = {"PATH": os.environ["PATH"]}
        shown = subprocess.check_output(
            [sys.executable, "-c", SHOW], cwd=tmp_path, env=started | path, text=True
        )
        assert shown.startswith(f"{tmp_path}/.dvc/tmp/site/repo/")
    assert (tmp_path / ".dvc" / "tmp" / "site").stat().st_mode & 0o777 == 0o700


def test_settings_of_this_machine_are_written_once_and_others_stay(tmp_path):
    pipeline(tmp_path)
    local = tmp_path / ".dvc" / "config.local"
    local.write_text("[core]\n    no_scm = true\n['remote \"s\"']\n    url = ssh://h/p\n    password = x\n")
    dvc_process.configure(tmp_path)
    once = local.read_text()
    assert "no_scm" in once and "password = x" in once and once.count("[core]") == 1
    dvc_process.configure(tmp_path)
    assert local.read_text() == once
    local.write_text("[core]\n    nonsense = x\n")
    with pytest.raises(DigitsError, match="has settings that DVC refuses"):
        dvc_process.configure(tmp_path)
