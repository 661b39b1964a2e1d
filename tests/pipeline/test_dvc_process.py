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


@pytest.fixture
def record(tmp_path):
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path / ".dvc" / "tmp" / "rwlock"


def test_locks_of_a_process_that_nobody_collected_or_whose_number_is_anothers_are_dropped(tmp_path, record):
    zombie = subprocess.Popen(["true"])
    while Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    held = {"pid": zombie.pid, "cmd": "dvc repro"}
    other = {"pid": os.getpid(), "cmd": "dvc repro"}  # this process, which is no DVC
    record.write_text(json.dumps({"write": {"data/raw": held}, "read": {"data/incoming": [other]}}))
    dvc_process.drop_dead_locks(tmp_path)
    assert json.loads(record.read_text()) == {"write": {}, "read": {}}
    zombie.wait()


def test_locks_of_a_running_dvc_stay(tmp_path, record):
    running = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    held = json.dumps({"write": {"data/raw": {"pid": running.pid, "cmd": "dvc repro"}}, "read": {}})
    record.write_text(held)
    dvc_process.drop_dead_locks(tmp_path)
    assert record.read_text() == held
    running.communicate(b"\n")


@pytest.mark.parametrize("left", ["", '{"write": {"/data/ra'])
def test_half_a_record_of_locks_is_removed(tmp_path, record, left):
    record.write_text(left)
    dvc_process.drop_dead_locks(tmp_path)
    assert not record.exists()
