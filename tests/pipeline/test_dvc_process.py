"""DVC as a child process: what it trusts, and which locks it is freed of."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

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


def test_locks_of_a_running_dvc_stay_and_those_of_no_dvc_and_half_a_record_are_dropped(tmp_path):
    record = tmp_path / ".dvc" / "tmp" / "rwlock"
    record.parent.mkdir(parents=True)
    zombie = subprocess.Popen(["true"])  # that nobody has collected
    while Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    running = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    dead, alive, other = ({"pid": pid, "cmd": "dvc repro"} for pid in (zombie.pid, running.pid, os.getpid()))
    left = {"write": {"data/raw": dead, "models": alive}, "read": {"data/incoming": [other]}}  # no DVC either
    record.write_text(json.dumps(left))
    dvc_process.drop_dead_locks(tmp_path)
    assert json.loads(record.read_text()) == {"write": {"models": alive}, "read": {}}
    running.communicate(b"\n")
    zombie.wait()
    record.write_text('{"write": {"/data/ra')
    dvc_process.drop_dead_locks(tmp_path)
    assert not record.exists()
